//! Metrics of every path of every prompt, before anything is averaged.

use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use tch::{Kind, Tensor};

/// Added to probabilities before their logarithm (method, section 5).
pub const EPSILON: f64 = 1e-10;

/// Which items share an attribute, as a table on the device.
pub struct Attributes {
    table: Tensor, // [V + 1, A] float
}

/// What a user-independent eye sees of a path, cut to its first items.
pub struct Shape {
    /// Items of the cut path, valid or not. // [B, K]
    pub length: Tensor,
    /// Share of neighbouring pairs among items and target that share an attribute. // [B, K]
    pub coherence: Tensor,
    /// Share of codes that are no item. // [B, K]
    pub error: Tensor,
    /// Share of items that stand earlier on the path. // [B, K]
    pub repeats: Tensor,
    /// 1 where the target is on the path. // [B, K]
    pub hit: Tensor,
}

/// What an evaluator sees of a path, cut to its first items.
pub struct Reaction {
    /// Gain of the target's log-probability, nats. // [B, K]
    pub ioi: Tensor,
    /// Ranks gained by the target. // [B, K]
    pub ior: Tensor,
    /// Mean click probability. // [B, K]
    pub ctr: Tensor,
    /// Rank of the target before the path. // [B, K] float
    pub rank_before: Tensor,
    /// Rank of the target after it. // [B, K] float
    pub rank_after: Tensor,
}

impl Reaction {
    /// `1 / rank after − 1 / rank before`: what mean reciprocal rank gains. // [B, K]
    pub fn reciprocal_rank_gain(&self) -> Tensor {
        self.rank_after.reciprocal() - self.rank_before.reciprocal()
    }

    /// 1 where the target stands among the first `k` after the path. // [B, K]
    pub fn success(&self, k: i64) -> Tensor {
        self.rank_after.le(k).to_kind(Kind::Float)
    }

    /// [`Reaction::success`] less the same before the path: 1 where the path brought the target among the first `k`,
    /// -1 where it drove it out. // [B, K]
    pub fn success_gain(&self, k: i64) -> Tensor {
        self.success(k) - self.rank_before.le(k).to_kind(Kind::Float)
    }
}

impl Attributes {
    /// From item-attribute pairs in compressed rows: item `v` has
    /// `values[offsets[v]..offsets[v + 1]]`, for `v` in `0..=V`.
    pub fn new(offsets: &[u32], values: &[u32], count: usize, device: tch::Device) -> Self {
        let items = offsets.len().saturating_sub(1);
        let width = count.max(1);
        let mut table = vec![0f32; items * width];
        for item in 0..items {
            for &attribute in &values[offsets[item] as usize..offsets[item + 1] as usize] {
                table[item * width + attribute as usize] = 1.0;
            }
        }
        Self { table: Tensor::from_slice(&table).reshape([items as i64, width as i64]).to_device(device) }
    }

    /// Whether items share an attribute; the padding item shares none. // shape of `a`, float 0 or 1
    pub fn shared(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let rows = |items: &Tensor| self.table.index_select(0, &items.flatten(0, -1)); // [N, A]
        (rows(a) * rows(b)).sum_dim_intlist(-1, false, Kind::Float).gt(0.0).to_kind(Kind::Float).reshape(a.size())
    }
}

/// Looks at paths cut to their first `cut` positions.
pub fn shape(prompts: &Prompts, paths: &Paths, attributes: &Attributes, cut: i64) -> Shape {
    let cut = cut.min(paths.items.size()[2]);
    let length = paths.length.clamp_max(cut); // [B, K]
    let items = paths.items.narrow(2, 0, cut); // [B, K, cut]
    let within = |mask: Tensor| mask.narrow(2, 0, cut).sum_dim_intlist(-1, false, Kind::Float); // [B, K]
    let count = length.to_kind(Kind::Float).clamp_min(1.0);
    let target = prompts.target.view([-1, 1, 1]); // [B, 1, 1]
    Shape {
        coherence: coherence(&items, &length, target.expand_as(&items.narrow(2, 0, 1)).as_ref(), attributes),
        error: within(paths.invalid()) / &count,
        repeats: within(paths.repeated()) / &count,
        hit: items.eq_tensor(&target).any_dim(-1, false).to_kind(Kind::Float),
        length: length.to_kind(Kind::Float),
    }
}

/// Pairs `(i_1, i_2), …, (i_n, target)`; a path without items has no pair and counts 0.
fn coherence(items: &Tensor, length: &Tensor, target: &Tensor, attributes: &Attributes) -> Tensor {
    let next = Tensor::cat(&[&items.slice(2, 1, None, 1), &target.zeros_like()], 2); // [B, K, cut]
    let positions = Tensor::arange(items.size()[2], (Kind::Int64, items.device())); // [cut]
    let last = positions.eq_tensor(&(length - 1).unsqueeze(-1)); // [B, K, cut]
    let next = target.expand_as(items).where_self(&last, &next); // [B, K, cut]
    let shared = attributes.shared(items, &next) * positions.lt_tensor(&length.unsqueeze(-1)).to_kind(Kind::Float);
    shared.sum_dim_intlist(-1, false, Kind::Float) / length.to_kind(Kind::Float).clamp_min(1.0)
}

/// Looks at an evaluator's scores of paths cut to their first `cut` positions.
pub fn reaction(paths: &Paths, scores: &PathScores, cut: i64) -> Reaction {
    let cut = cut.min(paths.items.size()[2]);
    let last = paths.length.clamp_max(cut).unsqueeze(-1); // [B, K, 1]
    let log_prob = (scores.target_log_prob.exp() + EPSILON).log(); // [B, K, P + 1]
    let at_end = |values: &Tensor| values.gather(2, &last, false).squeeze_dim(-1); // [B, K]
    let at_start = |values: &Tensor| values.select(2, 0); // [B, K]
    let rank = scores.target_rank.to_kind(Kind::Float);
    let valid = paths.items.narrow(2, 0, cut).gt(0).to_kind(Kind::Float); // [B, K, cut]
    let clicks = (scores.click_prob.narrow(2, 0, cut) * &valid).sum_dim_intlist(-1, false, Kind::Float);
    Reaction {
        ioi: at_end(&log_prob) - at_start(&log_prob),
        ior: at_start(&rank) - at_end(&rank),
        rank_before: at_start(&rank),
        rank_after: at_end(&rank),
        ctr: clicks / valid.sum_dim_intlist(-1, false, Kind::Float).clamp_min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn attributes() -> Attributes {
        // item 1: {0}, item 2: {0, 1}, item 3: {1}, item 4: none
        Attributes::new(&[0, 0, 1, 3, 4, 4], &[0, 0, 1, 1], 2, Device::Cpu)
    }

    fn paths(items: &[i64], length: &[i64], path: i64) -> Paths {
        let group = length.len() as i64;
        Paths {
            items: Tensor::from_slice(items).reshape([1, group, path]),
            length: Tensor::from_slice(length).reshape([1, group]),
            stopped: Tensor::ones([1, group], (Kind::Bool, Device::Cpu)),
            tokens: None,
        }
    }

    fn prompts() -> Prompts {
        Prompts { history: Tensor::from_slice(&[1i64]).reshape([1, 1]), target: Tensor::from_slice(&[3i64]) }
    }

    #[test]
    fn coherence_counts_pairs_up_to_the_target() {
        // 1-2 share, 2-3(target) share; 1-3 do not; 4 shares with none
        let paths = paths(&[1, 2, 0, 1, 4, 0, 0, 0, 0], &[2, 2, 0], 3);
        let shape = shape(&prompts(), &paths, &attributes(), 3);
        assert_eq!(Vec::<f32>::try_from(shape.coherence.view(-1)).unwrap_or_default(), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_cut_path_ends_at_the_cut() {
        let paths = paths(&[1, 2, 3, 2, 2, 0], &[3, 3], 3);
        let cut = shape(&prompts(), &paths, &attributes(), 1);
        assert_eq!(Vec::<f32>::try_from(cut.length.view(-1)).unwrap_or_default(), [1.0, 1.0]);
        assert_eq!(Vec::<f32>::try_from(cut.coherence.view(-1)).unwrap_or_default(), [0.0, 1.0]);
        assert_eq!(Vec::<f32>::try_from(cut.hit.view(-1)).unwrap_or_default(), [0.0, 0.0]);
        let whole = shape(&prompts(), &paths, &attributes(), 10);
        assert_eq!(Vec::<f32>::try_from(whole.hit.view(-1)).unwrap_or_default(), [1.0, 0.0]);
        let third = 1.0f32 / 3.0;
        assert_eq!(Vec::<f32>::try_from(whole.error.view(-1)).unwrap_or_default(), [0.0, third]);
        assert_eq!(Vec::<f32>::try_from(whole.repeats.view(-1)).unwrap_or_default(), [0.0, third]);
    }

    #[test]
    fn gains_run_from_the_history_to_the_end_of_the_cut_path() {
        let paths = paths(&[1, 2, 0], &[2], 3);
        let scores = PathScores {
            target_log_prob: Tensor::from_slice(&[-4f32, -3.0, -1.0, -1.0]).reshape([1, 1, 4]),
            target_rank: Tensor::from_slice(&[9i64, 5, 2, 2]).reshape([1, 1, 4]),
            click_prob: Tensor::from_slice(&[0.5f32, 0.7, 0.0]).reshape([1, 1, 3]),
        };
        let whole = reaction(&paths, &scores, 10);
        assert!((whole.ioi.double_value(&[0, 0]) - 3.0).abs() < 1e-5);
        assert_eq!(whole.ior.double_value(&[0, 0]), 7.0);
        assert!((whole.ctr.double_value(&[0, 0]) - 0.6).abs() < 1e-6);
        let cut = reaction(&paths, &scores, 1);
        assert!((cut.ioi.double_value(&[0, 0]) - 1.0).abs() < 1e-5);
        assert_eq!(cut.ior.double_value(&[0, 0]), 4.0);
        assert!((cut.ctr.double_value(&[0, 0]) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn ranks_tell_success_and_reciprocal_gain() {
        // From rank 4 to 2, from 2 to 5, from 1 to 1.
        let reaction = Reaction {
            ioi: Tensor::zeros([1, 3], (Kind::Float, Device::Cpu)),
            ior: Tensor::from_slice(&[2f32, -3.0, 0.0]).view([1, 3]),
            ctr: Tensor::zeros([1, 3], (Kind::Float, Device::Cpu)),
            rank_before: Tensor::from_slice(&[4f32, 2.0, 1.0]).view([1, 3]),
            rank_after: Tensor::from_slice(&[2f32, 5.0, 1.0]).view([1, 3]),
        };
        let values = |tensor: Tensor| Vec::<f32>::try_from(tensor.view(-1)).unwrap_or_default();
        assert_eq!(values(reaction.success(2)), [1.0, 0.0, 1.0]);
        assert_eq!(values(reaction.success_gain(2)), [1.0, -1.0, 0.0]);
        assert_eq!(values(reaction.success_gain(1)), [0.0, 0.0, 0.0]);
        for (actual, expected) in values(reaction.reciprocal_rank_gain()).into_iter().zip([0.25, -0.3, 0.0]) {
            assert!((actual - expected).abs() < 1e-6, "{actual} is not {expected}");
        }
    }
}
