//! How far the policy has moved from its reference, as differentiable losses.
//!
//! With `d = log π − log π_ref` of a choice drawn from `π`, all of these estimate `KL(π ‖ π_ref)` of that choice:
//!
//! | | value | gradient of the mean, on policy |
//! | --- | --- | --- |
//! | [`k1`] | `d` | 0: it hardly constrains |
//! | [`k2`] | `d²/2`, biased | that of the KL |
//! | [`k3`] | `exp(−d) − 1 + d`, never negative | that of `KL(π_ref ‖ π)` |
//! | [`exact`] | `Σ_c π(c)·(log π(c) − log π_ref(c))`, no sampling | that of the KL |
//!
//! Estimators after Schulman, "Approximating KL Divergence" (2020); method, section 6.7. No gradient reaches the
//! reference.

use crate::actions;
use crate::algorithm::LogProbs;
use crate::error::{Error, Result};
use crate::policy::ActionLogProbs;
use crate::prompts::Paths;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `d`: unbiased, but its gradient has mean zero on policy.
pub fn k1(current: &Tensor, reference: &Tensor) -> Tensor {
    current - reference.detach()
}

/// `d²/2`: biased, with the gradient of the KL.
pub fn k2(current: &Tensor, reference: &Tensor) -> Tensor {
    k1(current, reference).square() / 2.0
}

/// `exp(−d) − 1 + d`: unbiased and never negative.
pub fn k3(current: &Tensor, reference: &Tensor) -> Tensor {
    let d = k1(current, reference);
    (-&d).expm1() + d
}

/// `Σ_c π(c)·(log π(c) − log π_ref(c))` over the last dimension of log-probabilities `[.., C]`, minus infinity where a
/// choice is not allowed; both must allow the same. // [..]
///
/// Example: of (½, ½, not allowed) from (¼, ¾, not allowed) it is ½·ln 2 + ½·ln ⅔ = 0.1438 nats.
pub fn exact(current: &Tensor, reference: &Tensor) -> Tensor {
    let barred = current.isneginf(); // [.., C]
    let current = current.masked_fill(&barred, 0.0); // finite, so that no product is 0 · ∞
    let reference = reference.detach().masked_fill(&barred, 0.0);
    let terms = current.exp() * (&current - reference); // [.., C], 0 where barred
    terms.sum_dim_intlist(-1, false, current.kind())
}

/// Which estimate of the KL a loss uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KlEstimator {
    /// Difference of log-probabilities, as published; it hardly constrains.
    #[default]
    K1,
    /// Half its square.
    K2,
    /// `exp(−d) − 1 + d`.
    K3,
    /// Summed over everything allowed at each digit, as the paper describes.
    Exact,
}

impl KlEstimator {
    /// Whether it needs whole distributions, of the reference too.
    pub fn needs_distribution(self) -> bool {
        self == Self::Exact
    }

    /// The estimate at each digit, averaged over the digits of every action, 0 where there is none. // [B, G, P + 1]
    ///
    /// # Errors
    /// The reference or a distribution is absent.
    pub fn per_action(self, log_probs: &LogProbs, paths: &Paths) -> Result<Tensor> {
        let current = &log_probs.current;
        let reference = log_probs.reference.as_ref().ok_or_else(|| absent("log-probabilities of the reference"))?;
        let estimate = match self {
            Self::K1 => k1(&current.digits, &reference.digits),
            Self::K2 => k2(&current.digits, &reference.digits),
            Self::K3 => k3(&current.digits, &reference.digits),
            Self::Exact => exact_of_choices(distribution(current)?, distribution(reference)?, paths),
        }; // [B, G, P + 1, L]
        Ok(actions::mean_over_digits(&estimate, paths))
    }
}

/// [`exact`] where a choice was made, 0 elsewhere: most places of distributions `[B, G, P + 1, L, C]` lie behind the ends
/// of paths, and cost as much as the others. // [B, G, P + 1, L]
fn exact_of_choices(current: &Tensor, reference: &Tensor, paths: &Paths) -> Tensor {
    let made = actions::choices(paths, current.size()[3]); // [B, G, P + 1, L]
    let places = made.flatten(0, -1).nonzero().squeeze_dim(-1); // [n]
    let at = |distribution: &Tensor| distribution.flatten(0, 3).index_select(0, &places); // [n, C]
    let values = exact(&at(current), &at(reference)); // [n]
    let none = values.new_zeros([made.numel() as i64], (values.kind(), values.device()));
    none.index_copy(0, &places, &values).view_as(&made)
}

fn distribution(log_probs: &ActionLogProbs) -> Result<&Tensor> {
    log_probs.distribution.as_ref().ok_or_else(|| absent("whole distributions"))
}

fn absent(what: &str) -> Error {
    Error::Unsupported(format!("the KL term needs {what}, but this policy or host gave none"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use tch::Kind;

    const BARRED: f64 = f64::NEG_INFINITY;

    fn logits(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    /// Gradient with respect to the logits of `Σ_c π(c) · estimate(c)` without differentiating the first factor:
    /// what sampling from the policy gives in the mean.
    fn on_policy(estimate: fn(&Tensor, &Tensor) -> Tensor, policy: &[f64], reference: &Tensor) -> (f64, Tensor) {
        let leaf = logits(policy);
        let current = leaf.log_softmax(-1, Kind::Double);
        let mean = (current.exp().detach() * estimate(&current, reference)).sum(Kind::Double);
        mean.backward();
        (mean.double_value(&[]), leaf.grad())
    }

    fn exactly(policy: &[f64], reference: &Tensor) -> (f64, Tensor) {
        let leaf = logits(policy);
        let kl = exact(&leaf.log_softmax(-1, Kind::Double), reference);
        kl.backward();
        (kl.double_value(&[]), leaf.grad())
    }

    fn largest(tensor: &Tensor) -> f64 {
        tensor.abs().max().double_value(&[])
    }

    proptest! {
        #[test]
        fn estimators_agree_in_the_mean(pairs in prop::collection::vec((-3.0..3.0, -3.0..3.0), 2..7)) {
            let (policy, reference): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let reference = Tensor::from_slice(&reference).log_softmax(-1, Kind::Double);
            let (kl, gradient) = exactly(&policy, &reference);
            let (k1_mean, k1_gradient) = on_policy(k1, &policy, &reference);
            let (_, k2_gradient) = on_policy(k2, &policy, &reference);
            let (k3_mean, k3_gradient) = on_policy(k3, &policy, &reference);
            let reverse = Tensor::from_slice(&policy).softmax(-1, Kind::Double) - reference.exp(); // ∇ KL(π_ref ‖ π)
            prop_assert!((k1_mean - kl).abs() < 1e-9 && (k3_mean - kl).abs() < 1e-9);
            prop_assert!(largest(&k1_gradient) < 1e-9);
            prop_assert!(largest(&(k2_gradient - gradient)) < 1e-9);
            prop_assert!(largest(&(k3_gradient - reverse)) < 1e-9);
        }
    }

    #[test]
    fn the_example_of_exact() {
        let policy = Tensor::from_slice(&[0.5_f64.ln(), 0.5_f64.ln(), BARRED]);
        let reference = Tensor::from_slice(&[0.25_f64.ln(), 0.75_f64.ln(), BARRED]);
        let expected = 0.5 * 2_f64.ln() + 0.5 * (2.0_f64 / 3.0).ln();
        assert!((exact(&policy, &reference).double_value(&[]) - expected).abs() < 1e-12);
    }

    #[test]
    fn what_is_barred_changes_nothing() {
        let reference = Tensor::from_slice(&[0.1, 0.4]).log_softmax(-1, Kind::Double);
        let wide = Tensor::from_slice(&[BARRED, 0.1, BARRED, 0.4]).log_softmax(-1, Kind::Double);
        let (kl, gradient) = exactly(&[1.0, -0.5], &reference);
        let (wide_kl, wide_gradient) = exactly(&[BARRED, 1.0, BARRED, -0.5], &wide);
        assert!((kl - wide_kl).abs() < 1e-12);
        let expected = [0.0, gradient.double_value(&[0]), 0.0, gradient.double_value(&[1])];
        assert!(largest(&(wide_gradient - Tensor::from_slice(&expected))) < 1e-12);
    }

    #[test]
    fn a_row_that_allows_nothing_is_0_without_nan() {
        let current = logits(&[BARRED, BARRED]);
        let kl = exact(&current, &current);
        kl.backward();
        assert_eq!(kl.double_value(&[]), 0.0);
        assert_eq!(current.grad(), Tensor::from_slice(&[0.0, 0.0]));
    }

    #[test]
    fn no_gradient_reaches_the_reference() {
        let (current, reference) = (logits(&[-1.0]), logits(&[-2.0]));
        (k1(&current, &reference) + k2(&current, &reference) + k3(&current, &reference)).sum(Kind::Double).backward();
        assert!(!reference.grad().defined());
    }

    fn plain(digits: &[f64]) -> ActionLogProbs {
        let digits = Tensor::from_slice(digits).view([1, 1, 2, 2]);
        ActionLogProbs { digits, entropy: None, distribution: None, hidden: None }
    }

    #[test]
    fn actions_average_their_digits() {
        let paths = Paths {
            items: Tensor::from_slice(&[3_i64]).view([1, 1, 1]),
            length: Tensor::from_slice(&[1_i64]).view([1, 1]),
            stopped: Tensor::from_slice(&[true]).view([1, 1]),
            tokens: None,
        };
        let current = plain(&[-1.0, -2.0, -3.0, 0.0]);
        let log_probs = LogProbs { current, reference: Some(plain(&[-2.0, -4.0, -1.0, 0.0])), behaviour: None };
        let kl = KlEstimator::K2.per_action(&log_probs, &paths).unwrap();
        assert_eq!(kl, Tensor::from_slice(&[(0.5 + 2.0) / 2.0, 2.0]).view([1, 1, 2]));
        assert!(KlEstimator::Exact.per_action(&log_probs, &paths).is_err(), "there are no distributions");
    }
}
