//! Numbers that every algorithm reports under the same names, so that runs of several can be compared.

use crate::actions;
use crate::algorithm::ScoredPaths;
use crate::baselines;
use crate::masked;
use crate::metrics::MetricDeclaration;
use tch::Tensor;

/// Raw rewards of whole paths (method, section 5), averaged over the paths with an item: IoI and IoR are sums over a
/// path's steps, CTR is the mean over its valid items.
pub fn of_rewards(scored: &ScoredPaths) -> Vec<(String, Tensor)> {
    let valid = scored.items.gt(0); // [B, G, P]
    let counted = scored.length.gt(0).unsqueeze(-1); // [B, G, 1]
    let sum = |rewards: &Tensor| masked::mean(&masked::sum_over(rewards, &valid, -1), &counted);
    let ctr = masked::mean(&masked::mean_over(&scored.ctr, &valid, -1), &counted);
    vec![("reward/ioi".into(), sum(&scored.ioi)), ("reward/ior".into(), sum(&scored.ior)), ("reward/ctr".into(), ctr)]
}

/// What an algorithm made of a batch: `returns` of whole paths `[B, G]`, `advantages` `[B, G, P + 1]`; and
/// [`of_rewards`].
pub fn of_advantages(scored: &ScoredPaths, returns: &Tensor, advantages: &Tensor) -> Vec<(String, Tensor)> {
    let paths = scored.paths();
    let (active, counted) = (actions::active(&paths), baselines::counted(&paths));
    let mut metrics = of_rewards(scored);
    metrics.extend([
        ("algorithm/return".into(), masked::mean(returns, &counted)),
        ("algorithm/advantage_variance".into(), masked::variance(advantages, &active)),
        ("algorithm/zero_variance_groups".into(), baselines::zero_variance_groups(returns, &counted)),
    ]);
    metrics
}

/// Declarations of all that is reported here, and of the usual terms of a loss: `algorithm/policy_loss`,
/// `algorithm/kl`, `algorithm/entropy`.
pub fn metrics() -> Vec<MetricDeclaration> {
    let mean = MetricDeclaration::mean;
    vec![
        mean("reward/ioi", "nats", "Gain of the target's log-probability over a path.").up(),
        mean("reward/ior", "ranks", "Ranks gained by the target over a path.").up(),
        mean("reward/ctr", "", "Mean click probability of a path's items.").up(),
        mean("algorithm/return", "", "Return of a whole path, of the rewards trained on."),
        mean("algorithm/advantage_variance", "", "Variance of advantages over all actions.").down(),
        mean("algorithm/zero_variance_groups", "", "Share of groups whose paths all have the same return.").down(),
        mean("algorithm/policy_loss", "", "Policy term of the loss."),
        mean("algorithm/beta", "", "Weight of the KL term as it stands."),
        mean("algorithm/kl", "nats", "Estimated KL to the reference, summed over a path's actions."),
        mean("algorithm/entropy", "nats", "Entropy of the policy, summed over a path's actions."),
    ]
}

/// Declarations of what algorithms with a value head report.
pub fn of_critic() -> Vec<MetricDeclaration> {
    vec![
        MetricDeclaration::mean("algorithm/value_loss", "", "Half the mean square error of the value head.").down(),
        MetricDeclaration::mean(
            "algorithm/explained_variance",
            "",
            "Share of the returns' variance that the value head explains.",
        )
        .up(),
    ]
}

/// Declaration of what algorithms with clipped ratios report.
pub fn clipped() -> MetricDeclaration {
    MetricDeclaration::mean("algorithm/clipped", "", "Share of actions whose ratio lies outside the clipping bounds.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One prompt, P = 3: items 5, 5 and stop; a code that is no item, item 6 and stop; a stop alone.
    fn scored() -> ScoredPaths {
        let rewards =
            |a: f64, b: f64, c: f64| Tensor::from_slice(&[a, b, 0.0, 0.0, c, 0.0, 0.0, 0.0, 0.0]).view([1, 3, 3]);
        ScoredPaths {
            items: Tensor::from_slice(&[5_i64, 5, 0, 0, 6, 0, 0, 0, 0]).view([1, 3, 3]),
            length: Tensor::from_slice(&[2_i64, 2, 0]).view([1, 3]),
            stopped: Tensor::from_slice(&[true, true, true]).view([1, 3]),
            ioi: rewards(0.5, -4.0, -0.25),
            ior: rewards(7.0, 3.0, 2.0),
            ctr: rewards(0.9, 0.8, 0.3),
            hidden: None,
        }
    }

    #[test]
    fn numbers_by_hand_under_declared_names() {
        let returns = Tensor::from_slice(&[1.0, 4.0, 99.0]).view([1, 3]);
        let advantages =
            Tensor::from_slice(&[1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0, 9.0, 9.0, 9.0, 9.0, 9.0]).view([1, 3, 4]);
        let expected = [(-3.5 - 0.25) / 2.0, (10.0 + 2.0) / 2.0, (0.85 + 0.3) / 2.0, 2.5, 3.5, 0.0];
        let reported = of_advantages(&scored(), &returns, &advantages);
        assert_eq!(reported.len(), expected.len());
        for ((name, value), (declared, expected)) in reported.iter().zip(metrics().iter().zip(expected)) {
            assert_eq!(*name, declared.name);
            assert!((value.double_value(&[]) - expected).abs() < 1e-12, "{name}: {value:?}");
        }
    }
}
