//! Clipped probability ratios: several updates with one batch, without leaving it too far behind.

use crate::actions;
use crate::algorithm::{LogProbs, Moved};
use crate::masked;
use crate::prompts::Paths;
use tch::Tensor;

/// `π(a) / π_old(a)` of every action, of the product of its digits' probabilities. Gradients flow through `π` alone;
/// before the first update the ratio is 1. // [B, G, P + 1]
pub fn ratio(log_probs: &LogProbs) -> Tensor {
    let current = log_probs.current.sum_over_digits(); // [B, G, P + 1]
    let old = match &log_probs.behaviour {
        Some(behaviour) => behaviour.sum_over_digits().detach(),
        None => current.detach(),
    };
    (current - old).exp()
}

/// `min(ρ·A, clip(ρ, 1 − low, 1 + high)·A)` (Schulman et al. 2017, equation 7; with two bounds as in DAPO, Yu et al.
/// 2025, equation 10). // as `ratio`
pub fn surrogate(ratio: &Tensor, advantages: &Tensor, low: f64, high: f64) -> Tensor {
    let clipped = ratio.clamp(1.0 - low, 1.0 + high);
    (ratio * advantages).minimum(&(clipped * advantages))
}

/// Share of active actions whose ratio lies outside the bounds. // scalar
pub fn clipped_share(ratio: &Tensor, paths: &Paths, low: f64, high: f64) -> Tensor {
    let outside = ratio.lt(1.0 - low).logical_or(&ratio.gt(1.0 + high));
    masked::mean(&outside.to_kind(ratio.kind()), &actions::active(paths))
}

/// How far several updates have moved the policy: the mean over active actions of `ρ − 1 − ln ρ`, which estimates the
/// KL divergence between the policy that drew them and the one that stands (Schulman 2020, k3), and is never negative.
/// 0 where no action is active. // scalar
pub fn distance(moved: &Moved) -> Tensor {
    let sum = |digits: &Tensor| digits.sum_dim_intlist(-1, false, digits.kind()); // [B, G, P + 1]
    let log_ratio = sum(&moved.current) - sum(&moved.behaviour); // [B, G, P + 1]
    masked::mean(&(log_ratio.exp() - 1.0 - &log_ratio), &actions::active(&moved.paths()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One path of two items: its stop is the third action, of which the log-ratio is ln 2; the fourth is none.
    #[test]
    fn distance_by_hand() {
        let log_two = 2f64.ln();
        let moved = Moved {
            current: Tensor::from_slice(&[0.0, 0.0, log_two, 9.0]).view([1, 1, 4, 1]),
            behaviour: Tensor::zeros([1, 1, 4, 1], (tch::Kind::Double, tch::Device::Cpu)),
            items: Tensor::from_slice(&[4_i64, 5, 0]).view([1, 1, 3]),
            length: Tensor::from_slice(&[2_i64]).view([1, 1]),
            stopped: Tensor::from_slice(&[true]).view([1, 1]),
        };
        assert!((distance(&moved).double_value(&[]) - (1.0 - log_two) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_worse_of_both_counts() {
        let ratio = Tensor::from_slice(&[0.5, 0.5, 1.0, 1.5, 1.5]);
        let advantages = Tensor::from_slice(&[1.0, -1.0, 3.0, 1.0, -1.0]);
        let expected = Tensor::from_slice(&[0.5, -0.8, 3.0, 1.3, -1.5]);
        let difference: Tensor = surrogate(&ratio, &advantages, 0.2, 0.3) - expected;
        assert!(difference.abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn no_gradient_flows_where_the_clip_binds() {
        let ratio = Tensor::from_slice(&[0.5, 0.5, 1.0, 1.5, 1.5]).set_requires_grad(true);
        let advantages = Tensor::from_slice(&[1.0, -1.0, 3.0, 1.0, -1.0]);
        surrogate(&ratio, &advantages, 0.2, 0.3).sum(tch::Kind::Double).backward();
        assert_eq!(ratio.grad(), Tensor::from_slice(&[1.0, 0.0, 3.0, 0.0, -1.0]));
    }
}
