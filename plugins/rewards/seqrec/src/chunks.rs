//! Work in pieces, so that intermediate results stay in the cache and bounded.

use tch::{Device, Tensor};

/// Bytes of one intermediate result: the processor's cache, or enough to keep a GPU busy.
fn budget(device: Device) -> i64 {
    match device {
        Device::Cpu => 4 << 20,
        _ => 64 << 20,
    }
}

/// How many rows of `width` float32 to work on at once.
pub fn rows(width: i64, device: Device) -> i64 {
    (budget(device) / (4 * width.max(1))).max(1)
}

/// `(start, count)` of the chunks of `total` rows.
pub fn ranges(total: i64, rows: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..total).step_by(usize::try_from(rows).unwrap_or(1).max(1)).map(move |start| (start, rows.min(total - start)))
}

/// Applies `work` to chunks of `rows` rows of `input` and joins what it gives.
pub fn map(input: &Tensor, rows: i64, work: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let total = input.size()[0];
    if total <= rows {
        return work(input);
    }
    let pieces: Vec<Tensor> = ranges(total, rows).map(|(start, count)| work(&input.narrow(0, start, count))).collect();
    Tensor::cat(&pieces, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once() {
        assert_eq!(ranges(7, 3).collect::<Vec<_>>(), vec![(0, 3), (3, 3), (6, 1)]);
        assert_eq!(ranges(0, 3).count(), 0);
    }

    #[test]
    fn a_row_is_always_worked_on() {
        assert_eq!(rows(1 << 40, Device::Cpu), 1);
    }
}
