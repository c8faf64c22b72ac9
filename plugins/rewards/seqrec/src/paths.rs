//! Judges every prefix of every path, each distinct prefix once.

use crate::encoder::SequenceEncoder;
use crate::{chunks, prefixes, rank, sequences};
use prorl_sdk::error::{Error, Result};
use prorl_sdk::masked;
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use tch::{Kind, Tensor};

/// Target log-probability and rank after every prefix, click probability of every step.
///
/// An invalid item is not read, so the prefix that ends with it is that without it. Before any item (an
/// empty history) the state is zero: all items are equally likely.
///
/// # Errors
/// Shapes do not fit, or there is no path.
pub fn score<E: SequenceEncoder>(encoder: &E, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
    judged(encoder, prompts, paths, Distinct::states)
}

/// The same, but of rows padded on the left: what ProRL's published training code takes for the user's mind, because it
/// pads left what RecBole's models read as padded right, at the column of the last item.
///
/// # Errors
/// Shapes do not fit, or there is no path.
pub fn score_left_padded<E: SequenceEncoder>(encoder: &E, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
    judged(encoder, prompts, paths, Distinct::misread_states)
}

fn judged<E: SequenceEncoder>(
    encoder: &E,
    prompts: &Prompts,
    paths: &Paths,
    states: impl Fn(&Distinct, &E) -> Tensor,
) -> Result<PathScores> {
    check(prompts, paths)?;
    let distinct = Distinct::of(prompts, paths);
    let states = states(&distinct, encoder); // [M, D]
    let embedding = encoder.item_embedding(); // [V + 1, D]
    let targets = prompts.target.index_select(0, &distinct.prompt); // [M]
    let (log_prob, rank) = rank::of_targets(&states, embedding, &targets); // [M], [M]
    let spread = |values: &Tensor| values.take(&distinct.column); // [B, G, P + 1]
    Ok(PathScores {
        target_log_prob: spread(&log_prob),
        target_rank: spread(&rank),
        click_prob: masked::keep(&distinct.step_scores(&states, embedding).sigmoid(), &distinct.items.ne(0)),
    })
}

/// Columns of a row in the published training code.
const PUBLISHED_WIDTH: i64 = 50;

/// The prefixes that differ: every history, then every history and path up to a valid item.
pub(crate) struct Distinct {
    /// The prompts' items without gaps. // [B, H]
    histories: Tensor,
    /// Histories and then paths, one row a path, with gaps. // [B * G, H + P]
    joined: Tensor,
    /// The row of `joined` that holds each prefix. // [M]
    row: Tensor,
    /// The prompt that each prefix belongs to. // [M]
    pub(crate) prompt: Tensor,
    /// Items of each prefix. // [M]
    length: Tensor,
    /// The distinct prefix that each column of the scores shows. // [B, G, P + 1]
    pub(crate) column: Tensor,
    /// The paths' items, 0 where there is no valid item. // [B, G, P]
    pub(crate) items: Tensor,
}

impl Distinct {
    pub(crate) fn of(prompts: &Prompts, paths: &Paths) -> Self {
        let (batch, group, path) = paths.sizes();
        let history = prompts.history.size()[1];
        let numbers = (Kind::Int64, paths.items.device());

        let items = &paths.items * paths.holds_item().to_kind(Kind::Int64); // [B, G, P]
        let valid = items.ne(0); // [B, G, P]
        let joined = Tensor::cat(
            &[prompts.history.unsqueeze(1).expand([batch, group, history], false), items.shallow_clone()],
            -1,
        ); // [B, G, H + P]

        let steps = valid.flatten(0, -1).nonzero().squeeze_dim(-1); // [M - B]
        let read = valid.cumsum(-1, Kind::Int64); // [B, G, P]
        let known = sequences::lengths(&prompts.history); // [B]
        let reached = &read + known.view([-1, 1, 1]); // [B, G, P]
        let prompt = Tensor::arange(batch, numbers); // [B]
        let row = steps.floor_divide_scalar(path.max(1)); // [M - B]

        // Valid items in the order of memory are numbered as their prefixes are.
        let number = valid.flatten(0, -1).cumsum(0, Kind::Int64).view_as(&valid) + (batch - 1);
        let first = prompt.view([-1, 1, 1]).expand([batch, group, 1], false); // [B, G, 1]
        let later = number.where_self(&read.gt(0), &first); // [B, G, P]
        Self {
            histories: sequences::compact(&prompts.history),
            joined: joined.flatten(0, 1),
            prompt: Tensor::cat(&[&prompt, &row.floor_divide_scalar(group)], 0),
            length: Tensor::cat(&[known, reached.flatten(0, -1).index_select(0, &steps)], 0),
            row: Tensor::cat(&[prompt * group, row], 0),
            column: Tensor::cat(&[first, later], -1),
            items,
        }
    }

    /// The state after each distinct prefix. // [M, D]
    pub(crate) fn states<E: SequenceEncoder>(&self, encoder: &E) -> Tensor {
        let states = self.states_of_branches(encoder).unwrap_or_else(|| self.states_of_sequences(encoder)); // [M, D]
        let any = self.length.gt(0).unsqueeze(-1).to_kind(states.kind()); // [M, 1]
        states * any
    }

    /// Those, arbitrary before any item, from every path's whole sequence. // [M, D]
    fn states_of_sequences<E: SequenceEncoder>(&self, encoder: &E) -> Tensor {
        let states = prefixes::states(encoder, &sequences::compact(&self.joined)); // [B * G, T, D]
        let last = (&self.length - 1).clamp_min(0); // [M]
        states.flatten(0, 1).index_select(0, &(&self.row * states.size()[1] + last))
    }

    /// The same with each history read once, where the encoder can. // [M, D]
    fn states_of_branches<E: SequenceEncoder>(&self, encoder: &E) -> Option<Tensor> {
        let paths = sequences::compact(&self.items.flatten(0, 1)); // [B * G, P]
        let [histories, paths] =
            prefixes::states_of_branches(encoder, &self.histories, &paths.unflatten(0, [self.items.size()[0], -1]))?; // [B, H, D], [B, G, P, D]
        let known = sequences::lengths(&self.histories).index_select(0, &self.prompt); // [M]
        let further = &self.length - &known; // [M]
        let in_history = &self.prompt * histories.size()[1] + (known - 1).clamp_min(0); // [M]
        let in_path = &self.row * paths.size()[2] + (&further - 1) + histories.size()[0] * histories.size()[1]; // [M]
        let at = in_path.where_self(&further.gt(0), &in_history); // [M]
        Some(Tensor::cat(&[histories.flatten(0, 1), paths.flatten(0, 2)], 0).index_select(0, &at))
    }

    /// The state at the column of each prefix's last item, counted from the left, of rows padded on the left. // [M, D]
    fn misread_states<E: SequenceEncoder>(&self, encoder: &E) -> Tensor {
        let width = encoder.window().unwrap_or(PUBLISHED_WIDTH);
        let column = Tensor::arange(width, (Kind::Int64, self.length.device())) - width; // [width]
        let from = self.length.unsqueeze(-1) + column; // [M, width]
        let held = sequences::compact(&self.joined).index_select(0, &self.row); // [M, T]
        let items = held.gather(1, &from.clamp(0, held.size()[1] - 1), false).masked_fill(&from.lt(0), 0); // [M, width]
        let at = (&self.length - 1).clamp(0, width - 1); // [M]
        let rows = prefixes::pass_rows(encoder, width, items.device());
        let parts: Vec<Tensor> = chunks::ranges(items.size()[0], rows)
            .map(|(start, count)| {
                let states = encoder.states_of_padded(&items.narrow(0, start, count)); // [rows, width, D]
                let at = at.narrow(0, start, count).view([-1, 1, 1]).expand([-1, 1, states.size()[2]], false);
                states.gather(1, &at, false).squeeze_dim(1) // [rows, D]
            })
            .collect();
        Tensor::cat(&parts, 0)
    }

    /// `h · E_item` with the state before each item; arbitrary where there is no valid item. // [B, G, P]
    pub(crate) fn step_scores(&self, states: &Tensor, embedding: &Tensor) -> Tensor {
        let before = self.column.narrow(-1, 0, self.items.size()[2]).flatten(0, -1); // [B * G * P]
        let before = states.index_select(0, &before); // [B * G * P, D]
        let item = embedding.index_select(0, &self.items.flatten(0, -1)); // [B * G * P, D]
        (before * item).sum_dim_intlist(-1, false, None).view_as(&self.items)
    }
}

pub(crate) fn check(prompts: &Prompts, paths: &Paths) -> Result<()> {
    let history = prompts.history.size();
    let items = paths.items.size();
    let fits = history.len() == 2
        && items.len() == 3
        && history[0] == items[0]
        && prompts.target.size() == history[..1]
        && paths.length.size() == items[..2];
    if fits && items[0] * items[1] > 0 {
        return Ok(());
    }
    Err(Error::Tensor(format!(
        "history {history:?}, target {:?}, path items {items:?} and path length {:?} should be [B, H], \
         [B], [B, G, P] and [B, G] with at least one path",
        prompts.target.size(),
        paths.length.size(),
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sasrec::{Encoder, SasRecParameters};
    use prorl_sdk::setup::Setup;
    use prorl_testkit::closeness::{VALUES, assert_close};
    use tch::{Device, no_grad};

    const ITEMS: i64 = 40;

    fn encoder(max_length: i64) -> Encoder {
        let setup = Setup {
            items: ITEMS,
            history: 6,
            path: 4,
            codes: None,
            codebook_size: 0,
            device: "cpu".into(),
            hidden: 0,
            popularity: None,
        };
        let parameters = SasRecParameters { max_length, initial_deviation: 0.4, ..SasRecParameters::default() };
        Encoder::create(parameters, &setup).unwrap()
    }

    /// Histories of none to six items, paths of none to four, some of which are no item.
    fn cases(prompts: i64, group: i64) -> (Prompts, Paths) {
        let numbers = (Kind::Int64, Device::Cpu);
        let draw = |size: &[i64]| Tensor::randint_low(1, ITEMS + 1, size, numbers);
        let begin = |size: &[i64], width: i64| {
            Tensor::arange(width, numbers).lt_tensor(&Tensor::randint(width + 1, size, numbers)).to_kind(Kind::Int64)
        };
        let history = draw(&[prompts, 6]) * begin(&[prompts, 1], 6);
        let valid = Tensor::rand([prompts, group, 4], (Kind::Float, Device::Cpu)).lt(0.7).to_kind(Kind::Int64);
        let items = draw(&[prompts, group, 4]) * valid * begin(&[prompts, group, 1], 4);
        (Prompts { history, target: draw(&[prompts]) }, Paths::from_items(items))
    }

    #[test]
    fn a_history_read_once_gives_the_states_of_every_sequence_read_whole() {
        // So many prompts that they are read in several passes.
        for (prompts, group) in [(1, 1), (30, 5), (700, 3)] {
            let (encoder, (prompts, paths)) = (encoder(50), cases(prompts, group));
            let distinct = Distinct::of(&prompts, &paths);
            let read = distinct.length.gt(0).unsqueeze(-1).to_kind(Kind::Float);
            let (once, whole) = no_grad(|| {
                (distinct.states_of_branches(&encoder).unwrap() * &read, distinct.states_of_sequences(&encoder) * &read)
            });
            assert_close("states", &once, &whole, VALUES);
            assert!(whole.abs().max().double_value(&[]) > 0.1);
        }
    }

    #[test]
    fn what_the_window_does_not_hold_is_read_whole() {
        let (prompts, paths) = cases(30, 5);
        let distinct = Distinct::of(&prompts, &paths);
        assert!(distinct.states_of_branches(&encoder(10)).is_some());
        assert!(distinct.states_of_branches(&encoder(9)).is_none());
        assert_eq!(distinct.states(&encoder(9)).size(), [distinct.length.size()[0], 64]);
    }
}
