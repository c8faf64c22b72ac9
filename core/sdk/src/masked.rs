//! Sums, means and variances of those values only that count.
//!
//! `mask` is boolean and broadcasts against `values`. What it leaves out is never used: a NaN or an infinity
//! there reaches neither the result nor a gradient. The `_over` forms reduce one dimension and keep it with
//! size 1, so that the result broadcasts against `values`.

use tch::{Kind, Tensor};

/// `values` where `mask` holds, 0 elsewhere.
pub fn keep(values: &Tensor, mask: &Tensor) -> Tensor {
    values.masked_fill(&mask.logical_not(), 0.0)
}

/// `Σ values`. // scalar
pub fn sum(values: &Tensor, mask: &Tensor) -> Tensor {
    keep(values, mask).sum(values.kind())
}

/// `Σ values / n`, 0 where nothing counts. // scalar
///
/// Example: 1, 2 and a masked NaN have mean 1.5.
pub fn mean(values: &Tensor, mask: &Tensor) -> Tensor {
    sum(values, mask) / count(values, mask).sum(values.kind()).clamp_min(1.0)
}

/// `Σ (values − mean)² / (n − 1)`, 0 where fewer than two count. // scalar
pub fn variance(values: &Tensor, mask: &Tensor) -> Tensor {
    let deviation = keep(values, mask) - mean(values, mask);
    sum(&deviation.square(), mask) / (count(values, mask).sum(values.kind()) - 1.0).clamp_min(1.0)
}

/// [`sum`] over dimension `dim`, which stays with size 1.
pub fn sum_over(values: &Tensor, mask: &Tensor, dim: i64) -> Tensor {
    keep(values, mask).sum_dim_intlist(dim, true, values.kind())
}

/// [`mean`] over dimension `dim`, which stays with size 1.
pub fn mean_over(values: &Tensor, mask: &Tensor, dim: i64) -> Tensor {
    sum_over(values, mask, dim) / count_over(values, mask, dim).clamp_min(1.0)
}

/// [`variance`] over dimension `dim`, which stays with size 1.
pub fn variance_over(values: &Tensor, mask: &Tensor, dim: i64) -> Tensor {
    let deviation = keep(values, mask) - mean_over(values, mask, dim);
    sum_over(&deviation.square(), mask, dim) / (count_over(values, mask, dim) - 1.0).clamp_min(1.0)
}

fn count(values: &Tensor, mask: &Tensor) -> Tensor {
    mask.to_kind(Kind::Bool).expand_as(values)
}

fn count_over(values: &Tensor, mask: &Tensor, dim: i64) -> Tensor {
    count(values, mask).sum_dim_intlist(dim, true, values.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(tensor: &Tensor, expected: f64) -> bool {
        (tensor.double_value(&[]) - expected).abs() <= 1e-9 * (1.0 + expected.abs())
    }

    proptest! {
        #[test]
        fn agrees_with_plain_loops(pairs in prop::collection::vec((-1e3..1e3, any::<bool>()), 1..20)) {
            let (all, mask): (Vec<f64>, Vec<bool>) = pairs.into_iter().unzip();
            let kept: Vec<f64> = all.iter().zip(&mask).filter(|(_, kept)| **kept).map(|(value, _)| *value).collect();
            let n = kept.len() as f64;
            let average = kept.iter().sum::<f64>() / n.max(1.0);
            let spread = kept.iter().map(|value| (value - average).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
            let (values, mask) = (Tensor::from_slice(&all), Tensor::from_slice(&mask));
            prop_assert!(close(&sum(&values, &mask), kept.iter().sum()));
            prop_assert!(close(&mean(&values, &mask), average));
            prop_assert!(close(&variance(&values, &mask), spread));
            prop_assert!(close(&mean_over(&values, &mask, 0).squeeze(), average));
            prop_assert!(close(&variance_over(&values, &mask, 0).squeeze(), spread));
        }
    }

    #[test]
    fn the_example_of_mean() {
        let (values, mask) = (Tensor::from_slice(&[1.0, 2.0, f64::NAN]), Tensor::from_slice(&[true, true, false]));
        assert!(close(&mean(&values, &mask), 1.5));
    }

    #[test]
    fn a_mask_broadcasts() {
        let values = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0]).view([2, 2]);
        let first_row = Tensor::from_slice(&[true, false]).view([2, 1]);
        assert!(close(&mean(&values, &first_row), 1.5));
        assert_eq!(mean_over(&values, &first_row, 1).size(), [2, 1]);
    }

    #[test]
    fn what_is_left_out_reaches_no_gradient() {
        let values = Tensor::from_slice(&[1.0, f64::NAN, f64::NEG_INFINITY, 3.0]).set_requires_grad(true);
        let mask = Tensor::from_slice(&[true, false, false, true]);
        (mean(&values, &mask) + variance(&values, &mask)).backward(); // ½, and 2·(x − 2)
        assert_eq!(values.grad(), Tensor::from_slice(&[0.5 - 2.0, 0.0, 0.0, 0.5 + 2.0]));
    }
}
