//! From rewards of steps to returns and advantages of actions.

use crate::masked;
use tch::{Kind, Tensor};

/// Discounted returns `G_t = Σ_{s≥t} γ^{s−t} r_s` (method, section 6.4); the last column, a stop after `P`
/// items, is 0.
///
/// `rewards` is `[B, G, P]`, 0 where there is no item. // [B, G, P + 1]
///
/// Example: rewards (1, 2, 4) with γ = ½ give returns (3, 4, 4, 0).
pub fn discounted(rewards: &Tensor, gamma: f64) -> Tensor {
    discounted_sums(rewards, gamma).constant_pad_nd([0, 1])
}

/// What [`gae`] gives.
#[derive(Debug)]
pub struct Gae {
    /// `A_t`, 0 where no action counts. // [B, G, P + 1]
    pub advantages: Tensor,
    /// `A_t + V_t`, what the values should have been, 0 where no action counts. // [B, G, P + 1]
    pub returns: Tensor,
}

/// Generalised advantage estimation (Schulman et al. 2016, equation 16):
/// `δ_t = r_t + γ V_{t+1} − V_t`, `A_t = Σ_{s≥t} (γλ)^{s−t} δ_s`.
///
/// `rewards` is `[B, G, P]`, `values` and `active` are `[B, G, P + 1]`. Nothing is worth anything after a path's
/// last action, be it a stop or the `P`-th item. Active positions are a path's first ones.
pub fn gae(rewards: &Tensor, values: &Tensor, active: &Tensor, gamma: f64, lambda: f64) -> Gae {
    let path = rewards.size()[2];
    let values = masked::keep(values, active); // [B, G, P + 1]
    let next = values.narrow(-1, 1, path).constant_pad_nd([0, 1]); // [B, G, P + 1]
    let deltas = rewards.constant_pad_nd([0, 1]) + next * gamma - &values; // [B, G, P + 1]
    let advantages = discounted_sums(&masked::keep(&deltas, active), gamma * lambda); // [B, G, P + 1]
    Gae { returns: masked::keep(&(&advantages + values), active), advantages }
}

/// `Σ_{s≥t} factor^{s−t} x_s` over the last dimension, `N` long. // [.., N]
fn discounted_sums(values: &Tensor, factor: f64) -> Tensor {
    let n = values.size().last().copied().unwrap_or_default();
    let steps = Tensor::arange(n, (Kind::Float, values.device())).to_kind(values.kind()); // [N]
    let ahead = steps.unsqueeze(0) - steps.unsqueeze(1); // [N, N]: s − t
    let weights = Tensor::pow_scalar(factor, &ahead.clamp_min(0.0)).triu(0); // [N, N]
    (values.unsqueeze(-2) * weights).sum_dim_intlist(-1, false, values.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLERANCE: f64 = 1e-9;

    fn row(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([1, 1, values.len() as i64])
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        tensor.iter::<f64>().map(Iterator::collect).unwrap_or_default()
    }

    #[test]
    fn the_example_of_discounted() {
        assert_eq!(discounted(&row(&[1.0, 2.0, 4.0]), 0.5), row(&[3.0, 4.0, 4.0, 0.0]));
    }

    #[test]
    fn no_discount_leaves_the_sum_and_full_discount_the_reward() {
        let rewards = row(&[1.0, -2.0, 4.0]);
        assert_eq!(discounted(&rewards, 1.0), row(&[3.0, 2.0, 4.0, 0.0]));
        assert_eq!(discounted(&rewards, 0.0), row(&[1.0, -2.0, 4.0, 0.0]));
    }

    #[test]
    fn gae_by_hand() {
        // Two items and a stop: δ = (1 + ½·4 − 2, 3 + ½·6 − 4, −6), γλ = ¼.
        let active = Tensor::from_slice(&[true, true, true, false]).view([1, 1, 4]);
        let gae = gae(&row(&[1.0, 3.0, 0.0]), &row(&[2.0, 4.0, 6.0, 99.0]), &active, 0.5, 0.5);
        assert_eq!(gae.advantages, row(&[1.0 + 0.25 * (2.0 - 0.25 * 6.0), 2.0 - 0.25 * 6.0, -6.0, 0.0]));
        assert_eq!(gae.returns, row(&[3.125, 4.5, 0.0, 0.0]));
    }

    proptest! {
        #[test]
        fn returns_obey_their_recursion(rewards in prop::collection::vec(-9.0..9.0, 1..12), gamma in 0.0..=1.0) {
            let returns = numbers(&discounted(&row(&rewards), gamma).view(-1));
            for (t, reward) in rewards.iter().enumerate() {
                prop_assert!((returns[t] - (reward + gamma * returns[t + 1])).abs() < TOLERANCE);
            }
        }

        /// With λ = 1 the values telescope: `A_t = G_t − V_t`.
        #[test]
        fn gae_at_lambda_one_is_return_less_value(pairs in prop::collection::vec((-9.0..9.0, -9.0..9.0), 1..12), gamma in 0.0..=1.0) {
            let (rewards, mut values): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            values.push(0.5);
            let (rewards, values) = (row(&rewards), row(&values));
            let gae = gae(&rewards, &values, &values.ones_like().eq(1), gamma, 1.0);
            let returns = discounted(&rewards, gamma);
            prop_assert!((gae.advantages - (&returns - values)).abs().max().double_value(&[]) < TOLERANCE);
            prop_assert!((gae.returns - returns).abs().max().double_value(&[]) < TOLERANCE);
        }
    }
}
