//! How likely a path's items are, and how the target ranks among new items: without a second pass over the catalogue.
//!
//! `ln p(item) = h · E_item − ln Σ exp`, and `ln Σ exp = h · E_target − ln p(target)` is known from the target's rank.
//! The filtered rank is the rank less those known items that stand above the target.

use crate::encoder::SequenceEncoder;
use crate::paths::{Distinct, check};
use crate::rank;
use prorl_sdk::error::Result;
use prorl_sdk::masked;
use prorl_sdk::path_details::PathDetails;
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Kind, Tensor};

/// See [`PathDetails`].
///
/// # Errors
/// Shapes do not fit, or there is no path.
pub fn of_paths<E: SequenceEncoder>(encoder: &E, prompts: &Prompts, paths: &Paths) -> Result<PathDetails> {
    check(prompts, paths)?;
    let distinct = Distinct::of(prompts, paths);
    let states = distinct.states(encoder); // [M, D]
    let embedding = encoder.item_embedding(); // [V + 1, D]
    let targets = prompts.target.index_select(0, &distinct.prompt); // [M]
    let (log_prob, rank) = rank::of_targets(&states, embedding, &targets); // [M], [M]
    let own = (&states * embedding.index_select(0, &targets)).sum_dim_intlist(-1, false, None); // [M]
    let normaliser = &own - log_prob; // [M]

    let before = distinct.column.narrow(-1, 0, distinct.items.size()[2]); // [B, G, P]
    let item_log_prob = distinct.step_scores(&states, embedding) - normaliser.take(&before); // [B, G, P]
    let known = known(prompts, &distinct.items); // [B, G, H + P]
    let above = known_above(&distinct, &states, embedding, &own, &known); // [B, G, P + 1]
    Ok(PathDetails {
        item_log_prob: masked::keep(&item_log_prob, &distinct.items.ne(0)),
        filtered_rank: (rank.take(&distinct.column) - above).clamp_min(1),
    })
}

/// Items of history and path, each once; 0 in place of the others and of the target. // [B, G, H + P]
fn known(prompts: &Prompts, items: &Tensor) -> Tensor {
    let (batch, group) = (items.size()[0], items.size()[1]);
    let history = prompts.history.unsqueeze(1).expand([batch, group, -1], false); // [B, G, H]
    let all = Tensor::cat(&[&history, items], -1); // [B, G, X]
    let width = all.size()[2];
    let same = all.unsqueeze(-1).eq_tensor(&all.unsqueeze(-2)); // [B, G, X, X]
    let earlier = Tensor::ones([width, width], (Kind::Bool, all.device())).tril(-1); // [X, X]
    let again = same.logical_and(&earlier).any_dim(-1, false); // [B, G, X]
    let target = all.eq_tensor(&prompts.target.view([-1, 1, 1])); // [B, G, X]
    masked::keep(&all, &again.logical_or(&target).logical_not())
}

/// How many of the known items score above the target, in every column. // [B, G, P + 1] int64
fn known_above(distinct: &Distinct, states: &Tensor, embedding: &Tensor, own: &Tensor, known: &Tensor) -> Tensor {
    let (columns, width) = (distinct.column.size(), embedding.size()[1]);
    let states = states.index_select(0, &distinct.column.flatten(0, -1)).view([-1, columns[2], width]); // [B * G, P + 1, D]
    let items = known.flatten(0, 1); // [B * G, X]
    let items_of = embedding.index_select(0, &items.flatten(0, -1)).view([items.size()[0], -1, width]); // [B * G, X, D]
    let scores = states.bmm(&items_of.transpose(1, 2)); // [B * G, P + 1, X]
    let own = own.take(&distinct.column).view([-1, columns[2], 1]); // [B * G, P + 1, 1]
    let above = scores.gt_tensor(&own).logical_and(&items.ne(0).unsqueeze(1)); // [B * G, P + 1, X]
    above.sum_dim_intlist(-1, false, Kind::Int64).view_as(&distinct.column)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::model::SequenceModel;
    use prorl_sdk::parameters::Parameters;
    use prorl_sdk::prelude::{Deserialize, JsonSchema, Serialize};
    use prorl_sdk::reward_model::RewardModel;
    use prorl_sdk::setup::Setup;
    use prorl_testkit::closeness::{EXACT, VALUES, assert_close};
    use tch::Device;

    const ITEMS: i64 = 30;
    const INTEGERS: (Kind, Device) = (Kind::Int64, Device::Cpu);

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    struct Nothing {}
    impl Parameters for Nothing {}

    /// The state is the sum of the embeddings read.
    struct Sums(Tensor);

    impl SequenceEncoder for Sums {
        type Parameters = Nothing;
        fn create(_: Nothing, setup: &Setup) -> Result<Self> {
            Ok(Self(Tensor::randn([setup.items + 1, 8], (Kind::Float, Device::Cpu)) * 0.5))
        }
        fn parameters(&self) -> Vec<(String, Tensor)> {
            Vec::new()
        }
        fn item_embedding(&self) -> &Tensor {
            &self.0
        }
        fn window(&self) -> Option<i64> {
            None
        }
        fn states(&self, items: &Tensor, _: bool) -> Tensor {
            self.0.index_select(0, &items.flatten(0, -1)).view([items.size()[0], -1, 8]).cumsum(1, Kind::Float)
        }
    }

    fn model() -> SequenceModel<Sums> {
        let setup = Setup {
            items: ITEMS,
            history: 5,
            path: 4,
            codes: None,
            codebook_size: 0,
            device: "cpu".into(),
            hidden: 0,
            popularity: None,
        };
        SequenceModel::create(Nothing {}, &setup).unwrap()
    }

    /// Histories of five items, paths of up to four of which some are no item.
    fn cases() -> (Prompts, Paths) {
        let draw = |size: &[i64]| Tensor::randint_low(1, ITEMS + 1, size, INTEGERS);
        let valid = Tensor::rand([20, 3, 4], (Kind::Float, Device::Cpu)).lt(0.7).to_kind(Kind::Int64);
        let length = Tensor::randint(5, [20, 3], INTEGERS);
        let holds = Tensor::arange(4, INTEGERS).lt_tensor(&length.unsqueeze(-1)).to_kind(Kind::Int64);
        let items = draw(&[20, 3, 4]) * valid * holds;
        let stopped = length.lt(4);
        (Prompts { history: draw(&[20, 5]), target: draw(&[20]) }, Paths { items, length, stopped, tokens: None })
    }

    #[test]
    fn details_are_those_of_every_prefix_read_by_itself() {
        tch::manual_seed(5);
        let mut model = model();
        let (prompts, paths) = cases();
        let expected = prorl_sdk::path_details::by_next_item_scores(&mut model, &prompts, &paths).unwrap();
        let actual = model.path_details(&prompts, &paths).unwrap();
        assert_close("item_log_prob", &actual.item_log_prob, &expected.item_log_prob, VALUES);
        assert_close("filtered_rank", &actual.filtered_rank, &expected.filtered_rank, EXACT);
        let rank = model.score_paths(&prompts, &paths).unwrap().target_rank;
        assert_eq!(actual.filtered_rank.gt_tensor(&rank).any().int64_value(&[]), 0);
        assert_eq!(actual.filtered_rank.lt_tensor(&rank).any().int64_value(&[]), 1, "known items never stood above");
    }
}
