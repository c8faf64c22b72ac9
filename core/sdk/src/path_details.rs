//! What a reward model can tell of paths beside their rewards: how likely their items are, and how the target ranks
//! among items that are new to the user.

use crate::crossing;
use crate::error::Result;
use crate::masked;
use crate::prompts::{Paths, Prompts};
use crate::reward_model::RewardModel;
use tch::{Kind, Tensor};

crossing! {
    /// Answer of the capability `path_details`. Columns are those of
    /// [`PathScores`](crate::reward_model::PathScores).
    pub struct PathDetails {
        /// Log-probability of the item at position `p` among the `V` real items, for the user before it; 0 where there
        /// is no valid item. // [B, G, P] float
        pub item_log_prob: Tensor,
        /// The target's rank among the items that are neither in the history nor on the path, whole as it is: the
        /// same items in every column. The target itself counts, wherever it stands. // [B, G, P + 1] int64
        pub filtered_rank: Tensor,
    }
}

/// Details by [`RewardModel::next_item_scores`] after every prefix, taken for logits: `p = softmax(scores)` over the
/// real items.
///
/// # Errors
/// What the model reports.
pub fn by_next_item_scores<M: RewardModel>(model: &mut M, prompts: &Prompts, paths: &Paths) -> Result<PathDetails> {
    let (batch, group, path) = paths.sizes();
    let per_path = |values: &Tensor| values.repeat_interleave_self_int(group, 0, batch * group); // [B * G, …]
    let items = masked::keep(&paths.items, &paths.holds_item()).flatten(0, 1); // [B * G, P]
    let (history, target) = (per_path(&prompts.history), per_path(&prompts.target).unsqueeze(-1));
    let known = Tensor::cat(&[&history, &items], 1); // [B * G, H + P]
    let (mut log_probs, mut ranks) = (Vec::new(), Vec::new());
    for column in 0..=path {
        let read = without_gaps(&known.narrow(1, 0, history.size()[1] + column)); // [B * G, H + p]
        let scores = model.next_item_scores(&read)?; // [B * G, V + 1]
        let real = scores.narrow(1, 1, scores.size()[1] - 1).log_softmax(-1, Kind::Float); // [B * G, V]
        ranks.push(filtered_rank(&real, &known, &target));
        if column < path {
            let item = items.narrow(1, column, 1); // [B * G, 1]
            let own = real.gather(1, &(&item - 1).clamp_min(0), false); // [B * G, 1]
            log_probs.push(own.masked_fill(&item.eq(0), 0.0));
        }
    }
    let in_columns = |columns: &[Tensor]| Tensor::cat(columns, 1).view([batch, group, -1]);
    Ok(PathDetails { item_log_prob: in_columns(&log_probs), filtered_rank: in_columns(&ranks) })
}

/// `1 + #{v : p(v) > p(target), v not known}`; `log_probs` `[N, V]` of the real items, `known` `[N, X]` with 0 for
/// nothing, `target` `[N, 1]`. // [N, 1] int64
pub fn filtered_rank(log_probs: &Tensor, known: &Tensor, target: &Tensor) -> Tensor {
    let own = log_probs.gather(1, &(target - 1), false); // [N, 1]
    let size = [log_probs.size()[0], log_probs.size()[1] + 1];
    let out = Tensor::zeros(size, (Kind::Bool, known.device())).scatter_value(1, known, 1); // [N, V + 1]
    let new = out.narrow(1, 1, size[1] - 1).logical_not(); // [N, V]
    log_probs.gt_tensor(&own).logical_and(&new).sum_dim_intlist(1, true, Kind::Int64) + 1
}

/// Zeros moved behind the items of every row, whose order stays. // as `items`
fn without_gaps(items: &Tensor) -> Tensor {
    let order = items.eq(0).to_kind(Kind::Int64).argsort_stable(true, 1, false); // [N, T]
    items.gather(1, &order, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_model::{PathScores, Sequences};
    use crate::setup::Setup;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    struct Nothing {}
    impl crate::parameters::Parameters for Nothing {}

    /// Of V = 4 items, the next one is `v` with probability 1/10, 2/10, 3/10, 4/10, shifted by the last item read.
    struct Shifted;

    impl RewardModel for Shifted {
        type Parameters = Nothing;
        fn create(_: Nothing, _: &Setup) -> Result<Self> {
            Ok(Self)
        }
        fn parameters(&self) -> Vec<(String, Tensor)> {
            Vec::new()
        }
        fn set_training(&mut self, _: bool) {}
        fn score_paths(&mut self, _: &Prompts, _: &Paths) -> Result<PathScores> {
            Err(crate::error::Error::Unsupported("not needed".into()))
        }
        fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor> {
            let last = items.gather(1, &(items.ne(0).sum_dim_intlist(1, true, Kind::Int64) - 1), false); // [N, 1]
            let item = Tensor::arange(5, (Kind::Int64, items.device())); // [V + 1]
            let weight: Tensor = (item - 1 + last).remainder(4) + 1; // [N, V + 1]
            Ok(weight.to_kind(Kind::Float).log() + 7.0)
        }
        fn loss(&mut self, _: &Sequences) -> Result<crate::loss::Loss> {
            Err(crate::error::Error::Unsupported("not trained".into()))
        }
    }

    #[test]
    fn the_default_takes_scores_for_logits_and_rules_known_items_out() {
        // History 4 (weights of items 1 to 4: 1 2 3 4), then item 3 (4 1 2 3), then a code that is no item.
        let prompts =
            Prompts { history: Tensor::from_slice(&[4i64, 0]).view([1, 2]), target: Tensor::from_slice(&[2i64]) };
        let paths = Paths {
            items: Tensor::from_slice(&[3i64, 0, 0]).view([1, 1, 3]),
            length: Tensor::from_slice(&[2i64]).view([1, 1]),
            stopped: Tensor::from_slice(&[true]).view([1, 1]),
            tokens: None,
        };
        let details = Shifted.path_details(&prompts, &paths);
        let details = details.unwrap_or_else(|error| panic!("{error}"));
        let expected = Tensor::from_slice(&[0.3f32.ln(), 0.0, 0.0]).view([1, 1, 3]);
        assert!(details.item_log_prob.allclose(&expected, 1e-6, 1e-6, false), "{:?}", details.item_log_prob);
        // Of the items that are new, 1 and 2, the second leads; then item 1 does.
        assert_eq!(details.filtered_rank, Tensor::from_slice(&[1i64, 2, 2, 2]).view([1, 1, 4]));
    }

    #[test]
    fn a_known_target_keeps_its_place() {
        let log_probs = Tensor::from_slice(&[0.1f32, 0.2, 0.3, 0.4]).log().view([1, 4]);
        let (known, target) =
            (Tensor::from_slice(&[4i64, 1, 0]).view([1, 3]), Tensor::from_slice(&[1i64]).view([1, 1]));
        assert_eq!(filtered_rank(&log_probs, &known, &target).int64_value(&[0, 0]), 3);
    }
}
