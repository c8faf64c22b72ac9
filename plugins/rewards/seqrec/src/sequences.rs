//! Right-padded sequences: lengths, gaps, windows.

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
}
