//! Which actions count, and how numbers of digits become numbers of actions and of a batch.

use crate::error::{Error, Result};
use crate::masked;
use crate::policy::ActionLogProbs;
use crate::prompts::Paths;
use tch::{Kind, Tensor};

/// Active positions: they hold an item, or the stop, of a path with at least one item
/// (method, section 6.4). // [B, G, P + 1] bool
pub fn active(paths: &Paths) -> Tensor {
    paths.acts().logical_and(&paths.length.gt(0).unsqueeze(-1))
}

/// Digits that were chosen: `L` for an item, the first alone for a stop. // [B, G, P + 1, L] bool
pub fn choices(paths: &Paths, digits: i64) -> Tensor {
    let first = Tensor::arange(digits, (Kind::Int64, paths.items.device())).eq(0); // [L]
    let item = paths.stops().logical_not().unsqueeze(-1); // [B, G, P + 1, 1]
    item.logical_or(&first).logical_and(&active(paths).unsqueeze(-1))
}

/// Numbers of digits `[B, G, P + 1, L]` averaged over the digits that each action chose (method, section 6.6),
/// 0 where no action counts. // [B, G, P + 1]
pub fn mean_over_digits(values: &Tensor, paths: &Paths) -> Tensor {
    let digits = values.size()[3];
    masked::mean_over(values, &choices(paths, digits), -1).squeeze_dim(-1)
}

/// Entropy of the choice at each digit, averaged over the digits of every action. // [B, G, P + 1]
///
/// # Errors
/// The policy gave none.
pub fn entropy(log_probs: &ActionLogProbs, paths: &Paths) -> Result<Tensor> {
    let entropy = log_probs.entropy.as_ref();
    let entropy = entropy.ok_or_else(|| Error::Unsupported("this policy gave no entropy".into()))?; // [B, G, P + 1, L]
    Ok(mean_over_digits(entropy, paths))
}

/// `Σ over all active actions / number of paths with an item` (method, section 6.7) of numbers
/// `[B, G, P + 1]`. // scalar
pub fn per_path(values: &Tensor, paths: &Paths) -> Tensor {
    masked::sum(values, &active(paths)) / paths.with_items()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One prompt, P = 2: an item and a stop; two items without a stop; a stop alone.
    fn three() -> Paths {
        Paths {
            items: Tensor::from_slice(&[5_i64, 0, 6, 7, 0, 0]).view([1, 3, 2]),
            length: Tensor::from_slice(&[1_i64, 2, 0]).view([1, 3]),
            stopped: Tensor::from_slice(&[true, false, true]).view([1, 3]),
            tokens: None,
        }
    }

    #[test]
    fn a_path_without_items_is_out() {
        let expected = Tensor::from_slice(&[1_i64, 1, 0, 1, 1, 0, 0, 0, 0]).view([1, 3, 3]).eq(1);
        assert_eq!(active(&three()), expected);
    }

    #[test]
    fn a_stop_is_one_choice() {
        let values = Tensor::arange(27, (Kind::Float, tch::Device::Cpu)).view([1, 3, 3, 3]);
        let means = mean_over_digits(&values, &three());
        let expected = Tensor::from_slice(&[1_f32, 3.0, 0.0, 10.0, 13.0, 0.0, 0.0, 0.0, 0.0]).view([1, 3, 3]);
        assert_eq!(means, expected);
        assert_eq!(per_path(&means, &three()).double_value(&[]), 27.0 / 2.0);
    }
}
