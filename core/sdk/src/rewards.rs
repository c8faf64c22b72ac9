//! From a reward model's scores to rewards of steps, and from several objectives to one number.
//!
//! Where objectives share a tensor, its last dimension is in the order of [`OBJECTIVES`].

use crate::algorithm::ScoredPaths;
use crate::masked;
use crate::prompts::Paths;
use crate::reward_model::PathScores;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Objectives in the order of a stacked tensor's last dimension.
pub const OBJECTIVES: [&str; 3] = ["ioi", "ior", "ctr"];

/// Keeps the logarithm of a vanishing probability finite.
const TINY: f64 = 1e-10;

/// Raw rewards of every step (method, section 5), 0 where there is no valid item:
/// `ioi_k = ln(p_k + 1e-10) − ln(p_{k−1} + 1e-10)`, `ior_k = rank_{k−1} − rank_k`, `ctr_k` the click probability.
pub fn steps(paths: &Paths, scores: &PathScores) -> ScoredPaths {
    let valid = paths.items.gt(0); // [B, G, P]
    let tiny = scores.target_log_prob.full_like(TINY.ln()); // [B, G, P + 1]
    let log_prob = scores.target_log_prob.logaddexp(&tiny); // [B, G, P + 1]: ln(p + 1e-10)
    let rank = scores.target_rank.to_kind(log_prob.kind()); // [B, G, P + 1]
    ScoredPaths {
        items: paths.items.shallow_clone(),
        length: paths.length.shallow_clone(),
        stopped: paths.stopped.shallow_clone(),
        ioi: masked::keep(&log_prob.diff::<Tensor>(1, -1, None, None), &valid),
        ior: masked::keep(&-rank.diff::<Tensor>(1, -1, None, None), &valid),
        ctr: masked::keep(&scores.click_prob, &valid),
        hidden: None,
    }
}

/// Positions with an item that is neither invalid nor a repeat of an earlier one on its path. // [B, G, P] bool
pub fn real(paths: &Paths) -> Tensor {
    paths.items.gt(0).logical_and(&paths.repeated().logical_not())
}

/// Step rewards with bad steps punished (method, section 6.1): an invalid item gets ctr −1, ioi and ior one less than
/// their minimum over the batch's [`real`] items (0 if there is none); a repeat gets ctr 0. // [B, G, P, 3]
///
/// The batch is this process's.
pub fn penalised(scored: &ScoredPaths) -> Tensor {
    let paths = scored.paths();
    let (invalid, repeated) = (paths.invalid(), paths.repeated()); // [B, G, P]
    let real = real(&paths); // [B, G, P]
    let ctr = scored.ctr.masked_fill(&repeated, 0.0).masked_fill(&invalid, -1.0);
    let below = |rewards: &Tensor| rewards.where_self(&invalid.logical_not(), &(minimum(rewards, &real) - 1.0));
    Tensor::stack(&[below(&scored.ioi), below(&scored.ior), ctr], -1)
}

fn minimum(values: &Tensor, mask: &Tensor) -> Tensor {
    if values.numel() == 0 {
        return values.sum(values.kind()); // scalar 0: a batch without prompts
    }
    let lowest = values.masked_fill(&mask.logical_not(), f64::INFINITY).min(); // scalar
    lowest.masked_fill(&lowest.isposinf(), 0.0)
}

/// How much each objective counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveWeights {
    /// Weight of the click probability; it is divided by the most items of a path.
    pub ctr: f64,
    /// Weight of the gain of the target's log-probability.
    pub ioi: f64,
    /// Weight of the ranks gained by the target.
    pub ior: f64,
}

impl Default for ObjectiveWeights {
    fn default() -> Self {
        Self { ctr: 1.0, ioi: 1.0, ior: 1.0 }
    }
}

impl ObjectiveWeights {
    /// One reward a step (method, section 6.3): `w_ctr·ctr/P + w_ioi·ioi + w_ior·ior` of stacked `rewards`
    /// `[B, G, P, 3]`, 0 where there is no item. // [B, G, P]
    pub fn combine(&self, rewards: &Tensor, paths: &Paths) -> Tensor {
        let (_, _, path) = paths.sizes();
        let objective = |index: i64| rewards.select(-1, index); // as OBJECTIVES
        let combined = objective(0) * self.ioi + objective(1) * self.ior + objective(2) * (self.ctr / path as f64);
        masked::keep(&combined, &paths.holds_item())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    /// One prompt, P = 3: items 5, 5 and stop; a code that is no item, item 6 and stop; a stop alone.
    fn paths() -> Paths {
        Paths {
            items: Tensor::from_slice(&[5_i64, 5, 0, 0, 6, 0, 0, 0, 0]).view([1, 3, 3]),
            length: Tensor::from_slice(&[2_i64, 2, 0]).view([1, 3]),
            stopped: Tensor::from_slice(&[true, true, true]).view([1, 3]),
            tokens: None,
        }
    }

    fn scored() -> ScoredPaths {
        let rewards =
            |a: f64, b: f64, c: f64| Tensor::from_slice(&[a, b, 0.0, 0.0, c, 0.0, 0.0, 0.0, 0.0]).view([1, 3, 3]);
        let Paths { items, length, stopped, .. } = paths();
        ScoredPaths {
            items,
            length,
            stopped,
            ioi: rewards(0.5, -4.0, -0.25),
            ior: rewards(7.0, 3.0, 2.0),
            ctr: rewards(0.9, 0.8, 0.3),
            hidden: None,
        }
    }

    #[test]
    fn steps_are_differences_of_neighbouring_states() {
        let log_prob = Tensor::from_slice(&[-3.0, -1.0, -2.0, -2.0, -3.0, -3.0, -1.0, -1.0, -3.0, -3.0, -3.0, -3.0]);
        let rank = Tensor::from_slice(&[9_i64, 4, 6, 6, 9, 9, 2, 2, 9, 9, 9, 9]);
        let scores = PathScores {
            target_log_prob: log_prob.view([1, 3, 4]),
            target_rank: rank.view([1, 3, 4]),
            click_prob: Tensor::full([1, 3, 3], 0.5, (Kind::Double, tch::Device::Cpu)),
        };
        let steps = steps(&paths(), &scores);
        let close = |actual: &Tensor, expected: &[f64]| {
            let difference = (actual.flatten(0, -1) - Tensor::from_slice(expected)).abs().max().double_value(&[]);
            assert!(difference < 1e-8, "{actual:?} is not {expected:?}");
        };
        close(&steps.ioi, &[2.0, -1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        close(&steps.ior, &[5.0, -2.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0]);
        close(&steps.ctr, &[0.5, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_vanishing_probability_counts_as_one_in_ten_billion() {
        let scores = PathScores {
            target_log_prob: Tensor::from_slice(&[f64::NEG_INFINITY, 0.0]).view([1, 1, 2]),
            target_rank: Tensor::from_slice(&[9_i64, 1]).view([1, 1, 2]),
            click_prob: Tensor::from_slice(&[0.5]).view([1, 1, 1]),
        };
        let paths = Paths::from_items(Tensor::from_slice(&[1_i64]).view([1, 1, 1]));
        let ioi = steps(&paths, &scores).ioi.double_value(&[0, 0, 0]);
        assert!((ioi + TINY.ln()).abs() < 1e-9, "{ioi}");
    }

    #[test]
    fn bad_steps_are_punished() {
        let rewards = penalised(&scored()); // [1, 3, 3, 3]
        let at = |path: i64, step: i64| rewards.get(0).get(path).get(step);
        assert_eq!(at(0, 0), Tensor::from_slice(&[0.5, 7.0, 0.9]));
        assert_eq!(at(0, 1), Tensor::from_slice(&[-4.0, 3.0, 0.0]), "a repeat gets ctr 0");
        // The repeat's −4 is not the minimum: only real items count.
        assert_eq!(at(1, 0), Tensor::from_slice(&[-1.25, 1.0, -1.0]), "an invalid item");
        assert_eq!(at(2, 0), Tensor::from_slice(&[0.0, 0.0, 0.0]), "no item, no reward");
    }

    #[test]
    fn a_batch_without_real_items_is_punished_from_0() {
        let zeros = Tensor::zeros([1, 1, 2], (Kind::Float, tch::Device::Cpu));
        let scored = ScoredPaths {
            items: zeros.to_kind(Kind::Int64),
            length: Tensor::from_slice(&[1_i64]).view([1, 1]),
            stopped: Tensor::from_slice(&[true]).view([1, 1]),
            ioi: zeros.shallow_clone(),
            ior: zeros.shallow_clone(),
            ctr: zeros,
            hidden: None,
        };
        let expected = Tensor::from_slice(&[-1_f32, -1.0, -1.0, 0.0, 0.0, 0.0]).view([1, 1, 2, 3]);
        assert_eq!(penalised(&scored), expected);
    }

    #[test]
    fn a_batch_without_prompts_has_no_rewards() {
        let ScoredPaths { items, length, stopped, ioi, ior, ctr, .. } = scored();
        let none = |tensor: Tensor| tensor.narrow(0, 0, 0);
        let (items, length, stopped) = (none(items), none(length), none(stopped));
        let empty =
            ScoredPaths { items, length, stopped, ioi: none(ioi), ior: none(ior), ctr: none(ctr), hidden: None };
        assert_eq!(penalised(&empty).size(), [0, 3, 3, 3]);
    }

    #[test]
    fn objectives_become_one_number() {
        let weights = ObjectiveWeights { ctr: 6.0, ioi: 10.0, ior: 0.5 };
        let scored = scored();
        let combined = weights.combine(&penalised(&scored), &scored.paths());
        let expected = [5.0 + 3.5 + 1.8, -40.0 + 1.5, 0.0, -12.5 + 0.5 - 2.0, -2.5 + 1.0 + 0.6, 0.0, 0.0, 0.0, 0.0];
        let difference = (combined.view(-1) - Tensor::from_slice(&expected)).abs().max().double_value(&[]);
        assert!(difference < 1e-12, "{difference}");
    }
}
