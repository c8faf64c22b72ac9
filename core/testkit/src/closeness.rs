//! Comparisons of tensors that say where and by how much they differ.

use tch::{Device, Kind, Tensor};

/// How far numbers may be apart.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Absolute part.
    pub absolute: f64,
    /// Part relative to the expected value.
    pub relative: f64,
}

/// States, logits, scores, losses.
pub const VALUES: Tolerance = Tolerance { absolute: 2e-5, relative: 1e-4 };
/// Gradients.
pub const GRADIENTS: Tolerance = Tolerance { absolute: 1e-5, relative: 1e-3 };
/// Ranks and tokens.
pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

/// Fails unless `actual` has the shape of `expected` and every number is within the tolerance.
///
/// # Panics
/// With the worst position and both values there.
pub fn assert_close(what: &str, actual: &Tensor, expected: &Tensor, tolerance: Tolerance) {
    if let Some(difference) = difference(actual, expected, tolerance) {
        panic!("{what}: {difference}");
    }
}

/// How `actual` differs from `expected`: in shape, or at the worst position; none where every number is within the
/// tolerance.
pub fn difference(actual: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Option<String> {
    if actual.size() != expected.size() {
        return Some(format!("shape {:?} instead of {:?}", actual.size(), expected.size()));
    }
    if actual.numel() == 0 {
        return None;
    }
    let actual = actual.detach().to_device(Device::Cpu).to_kind(Kind::Double).flatten(0, -1);
    let expected = expected.detach().to_device(Device::Cpu).to_kind(Kind::Double).flatten(0, -1);
    let excess = (&actual - &expected).abs() - (expected.abs() * tolerance.relative + tolerance.absolute);
    let same = actual.eq_tensor(&expected).logical_or(&actual.isnan().logical_and(&expected.isnan()));
    let excess = excess.nan_to_num(f64::INFINITY, f64::INFINITY, f64::INFINITY).masked_fill(&same, -1.0);
    let worst = excess.argmax(None, false).int64_value(&[]);
    (excess.double_value(&[worst]) > 0.0).then(|| {
        format!(
            "at flat position {worst} of {}: {} instead of {} (tolerance {tolerance:?})",
            actual.numel(),
            actual.double_value(&[worst]),
            expected.double_value(&[worst]),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "at flat position 1")]
    fn a_difference_is_located() {
        assert_close("x", &Tensor::from_slice(&[1.0, 2.0]), &Tensor::from_slice(&[1.0, 2.1]), VALUES);
    }

    #[test]
    #[should_panic(expected = "instead of 0")]
    fn a_nan_is_a_difference() {
        assert_close("x", &Tensor::from_slice(&[f64::NAN]), &Tensor::from_slice(&[0.0]), VALUES);
    }
}
