//! Which items stand near each other in users' sequences: positive pointwise mutual information.

use crate::ragged::Ragged;
use crate::sparse::Entries;

/// Exponent that flattens the distribution of contexts, so that rare items do not dominate
/// (Levy, Goldberg and Dagan 2015, "Improving distributional similarity", section 3.2).
const CONTEXT_SMOOTHING: f64 = 0.75;

/// Adds a block of item × item columns.
///
/// Two items `d ≤ window` apart count `1/d`. An entry is `max(0, ln(n_ij · Σ_k n_k^α / (n_i · n_j^α)))` with
/// `α = 0.75`; rows get length 1. Rows are made one at a time, so that memory holds no more than the
/// entries, at most `2 · window` for each interaction.
pub(crate) fn add(matrix: &mut Entries, sequences: &Ragged, items: usize, window: usize) {
    let neighbours = Neighbours::new(sequences, items, window);
    let mut counts = vec![0.0; items]; // of the row at hand, by neighbour
    let totals: Vec<f64> = (0..items)
        .map(|item| {
            let near = neighbours.of(item, &mut counts);
            near.into_iter().map(|(_, count)| count).sum()
        })
        .collect();
    let contexts: Vec<f64> = totals.iter().map(|total| total.powf(CONTEXT_SMOOTHING)).collect();
    let all: f64 = contexts.iter().sum();
    let mut block = matrix.block(items);
    for (item, total) in totals.iter().enumerate() {
        let entries: Vec<(usize, f32)> = neighbours
            .of(item, &mut counts)
            .into_iter()
            .map(|(near, count)| (near, (count * all / (total * contexts[near])).ln() as f32))
            .filter(|&(_, information)| information > 0.0)
            .collect();
        block.push(item, &entries, 1.0);
    }
}

/// Finds what stands near an item.
struct Neighbours<'a> {
    sequences: &'a Ragged,
    occurrences: Ragged,
    owners: Vec<u32>,
    window: usize,
}

impl<'a> Neighbours<'a> {
    fn new(sequences: &'a Ragged, items: usize, window: usize) -> Self {
        let owners = (0..sequences.len()).flat_map(|user| sequences.range(user).map(move |_| user as u32)).collect();
        Self { sequences, occurrences: sequences.positions(items + 1), owners, window }
    }

    /// Other items near `item` (both from 0) in rising order with their counts; `counts` is zero before and after.
    fn of(&self, item: usize, counts: &mut [f64]) -> Vec<(usize, f64)> {
        let values = self.sequences.values();
        let mut touched = Vec::new();
        for &at in self.occurrences.row(item + 1) {
            let bounds = self.sequences.range(self.owners[at] as usize);
            let from = bounds.start.max(at.saturating_sub(self.window));
            for (other, &value) in values.iter().enumerate().take(bounds.end.min(at + self.window + 1)).skip(from) {
                let near = value - 1;
                if near == item {
                    continue;
                }
                if counts[near] == 0.0 {
                    touched.push(near);
                }
                counts[near] += 1.0 / at.abs_diff(other) as f64;
            }
        }
        touched.sort_unstable();
        touched.into_iter().map(|near| (near, std::mem::take(&mut counts[near]))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use prorl_sdk::prelude::*;

    fn sequences(offsets: &[i64], items: &[i64]) -> Ragged {
        let (offsets, items) = (Tensor::from_slice(offsets), Tensor::from_slice(items));
        Ragged::new("sequence", &offsets, &items, 1..i64::MAX).unwrap()
    }

    #[test]
    fn neighbours_count_by_nearness_and_never_across_users() {
        let sequences = sequences(&[0, 4, 6], &[1, 2, 3, 1, 3, 4]);
        let neighbours = Neighbours::new(&sequences, 4, 2);
        let mut counts = vec![0.0; 4];
        assert_eq!(neighbours.of(0, &mut counts), [(1, 1.5), (2, 1.5)]);
        assert_eq!(neighbours.of(3, &mut counts), [(2, 1.0)]);
        assert_eq!(counts, [0.0; 4]);
    }

    #[test]
    fn entries_are_the_smoothed_information() {
        let sequences = sequences(&[0, 2, 4, 6], &[1, 2, 1, 3, 3, 4]);
        let mut matrix = Entries::default();
        add(&mut matrix, &sequences, 4, 3);
        let dense = matrix.matrices(4).0.times(&Tensor::eye(4, (Kind::Float, Device::Cpu))).unwrap();
        // n = [2, 1, 2, 1]; item 2 stands beside item 1 only, so its row is one entry of length 1.
        let row: Vec<f32> = dense.get(1).try_into().unwrap();
        assert_eq!(row, [1.0, 0.0, 0.0, 0.0]);
        let all = 2.0 * 2f64.powf(0.75) + 2.0;
        let (with_2, with_3) = ((all / 2.0).ln(), (all / 2.0 / 2f64.powf(0.75)).ln());
        let expected = with_2 / with_2.hypot(with_3.max(0.0));
        assert!((dense.double_value(&[0, 1]) - expected).abs() < 1e-6);
    }
}
