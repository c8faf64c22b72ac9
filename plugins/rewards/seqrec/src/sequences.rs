//! Right-padded sequences: lengths, gaps, windows.

use prorl_sdk::error::{Error, Result};
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::Sequences;
use tch::{Kind, Tensor};

/// Items of every sequence. // [N] int64
pub fn lengths(items: &Tensor) -> Tensor {
    items.ne(0).sum_dim_intlist(-1, false, Kind::Int64)
}

/// The longest of `lengths`, at least 1.
pub fn longest(lengths: &Tensor) -> i64 {
    if lengths.numel() == 0 {
        return 1;
    }
    lengths.max().int64_value(&[]).max(1)
}

/// The same sequences with zeros between items removed, as wide as the longest. // [N, T']
///
/// `[[3, 0, 5], [0, 0, 2]]` becomes `[[3, 5], [2, 0]]`.
pub fn compact(items: &Tensor) -> Tensor {
    let width = items.size()[1];
    let valid = items.ne(0); // [N, T]
    let through = valid.cumsum(-1, Kind::Int64); // [N, T]
    // What is no item goes to a column of its own, which is cut off.
    let to = (&through - 1).masked_fill(&valid.logical_not(), width); // [N, T]
    let left = Tensor::zeros([items.size()[0], width + 1], (Kind::Int64, items.device()));
    let longest = longest(&lengths(items)).min(width);
    left.scatter(1, &to, items).narrow(1, 0, longest)
}

/// Cuts columns that hold padding only. // [N, T']
pub fn trim(items: &Tensor) -> Tensor {
    let longest = longest(&lengths(items)).min(items.size()[1]);
    items.narrow(1, 0, longest)
}

/// Where the last `window` items of every sequence of `items` `[N, T]` stand. // [N, min(T, window)]
pub fn last_positions(items: &Tensor, window: i64) -> Tensor {
    let window = window.min(items.size()[1]);
    let start = (lengths(items) - window).clamp_min(0); // [N]
    start.unsqueeze(-1) + Tensor::arange(window, (Kind::Int64, items.device()))
}

/// What there is to learn from users who went along a path to its target: history, path and target in a row, every
/// item but the first a label. // [B * G, T]
///
/// # Errors
/// Shapes do not fit.
pub fn of_paths(prompts: &Prompts, paths: &Paths) -> Result<Sequences> {
    let (history, target, items) = (prompts.history.size(), prompts.target.size(), paths.items.size());
    if history.len() != 2 || items.len() != 3 || history[0] != items[0] || target != history[..1] {
        return Err(Error::Tensor(format!(
            "history {history:?}, target {target:?} and path items {items:?} should be [B, H], [B] and [B, G, P]"
        )));
    }
    let (batch, group, _) = paths.sizes();
    let spread = |values: &Tensor| values.unsqueeze(1).expand([batch, group, -1], false); // [B, G, ..]
    let path = &paths.items * paths.holds_item().to_kind(Kind::Int64); // [B, G, P]
    let joined = Tensor::cat(&[spread(&prompts.history), path, spread(&prompts.target.unsqueeze(-1))], -1); // [B, G, H + P + 1]
    let all = compact(&joined.flatten(0, 1)).constant_pad_nd([0, 1]); // [B * G, T + 1]
    let width = (all.size()[1] - 2).max(1); // the last item is nobody's prefix
    Ok(Sequences { items: all.narrow(1, 0, width), labels: all.narrow(1, 1, width) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn rows(values: &[i64], width: i64) -> Tensor {
        Tensor::from_slice(values).view([-1, width])
    }

    #[test]
    fn gaps_close() {
        let items = rows(&[3, 0, 5, 0, 0, 2, 0, 0, 0], 3);
        assert_eq!(compact(&items), rows(&[3, 5, 2, 0, 0, 0], 2));
    }

    #[test]
    fn without_items_one_column_of_padding_stays() {
        assert_eq!(compact(&rows(&[0, 0, 0, 0], 2)), rows(&[0, 0], 1));
    }

    #[test]
    fn the_last_items_are_kept() {
        let items = rows(&[1, 2, 3, 4, 0, 5, 6, 0, 0, 0], 5);
        let last = items.gather(1, &last_positions(&items, 3), false);
        assert_eq!(last, rows(&[2, 3, 4, 5, 6, 0], 3));
    }

    #[test]
    fn every_item_but_the_first_is_learnt() {
        let prompts = Prompts { history: rows(&[1, 2, 3, 0], 2), target: Tensor::from_slice(&[8i64, 9]) };
        let paths = Paths::from_items(Tensor::from_slice(&[4i64, 5, 0, 0]).view([2, 1, 2]));
        let learnt = of_paths(&prompts, &paths).unwrap();
        assert_eq!(learnt.items, rows(&[1, 2, 4, 5, 3, 9, 0, 0], 4));
        assert_eq!(learnt.labels, rows(&[2, 4, 5, 8, 9, 0, 0, 0], 4));
    }
}
