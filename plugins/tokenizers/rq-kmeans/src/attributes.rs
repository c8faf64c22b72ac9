//! What items are: attributes weighted by their rarity.

use crate::ragged::Ragged;
use crate::sparse::Entries;

/// Adds a block of item × attribute columns; `attributes` has a list for the padding item first.
///
/// An item's entry for an attribute it has is `1 + ln((1 + V)/(1 + V_a))`, with `V_a` the items that have
/// it; rows get the length `weight`.
pub(crate) fn add(matrix: &mut Entries, attributes: &Ragged, weight: f64) {
    let mut columns = attributes.values().to_vec();
    columns.sort_unstable();
    columns.dedup();
    let items = attributes.len() - 1;
    let of_items: Vec<Vec<usize>> = (1..=items)
        .map(|item| {
            let mut row = attributes.row(item).to_vec();
            row.sort_unstable();
            row.dedup();
            row.iter().filter_map(|attribute| columns.binary_search(attribute).ok()).collect()
        })
        .collect();
    let mut owners = vec![0usize; columns.len()];
    for &column in of_items.iter().flatten() {
        owners[column] += 1;
    }
    let rarity: Vec<f32> =
        owners.iter().map(|&owners| (1.0 + ((1 + items) as f64 / (1 + owners) as f64).ln()) as f32).collect();
    let mut block = matrix.block(columns.len());
    for (item, row) in of_items.iter().enumerate() {
        let entries: Vec<(usize, f32)> = row.iter().map(|&column| (column, rarity[column])).collect();
        block.push(item, &entries, weight);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use prorl_sdk::prelude::*;

    #[test]
    fn rare_attributes_weigh_more_and_repeats_count_once() {
        let offsets = Tensor::from_slice(&[0i64, 0, 3, 4]);
        let values = Tensor::from_slice(&[7i64, 900, 900, 7]);
        let attributes = Ragged::new("attribute", &offsets, &values, 0..i64::MAX).unwrap();
        let mut matrix = Entries::default();
        add(&mut matrix, &attributes, 2.0);
        let dense = matrix.matrices(2).0.times(&Tensor::eye(2, (Kind::Float, Device::Cpu))).unwrap();
        assert_eq!(dense.size(), [2, 2]);
        let rare = 1.0 + 1.5f64.ln();
        assert!((dense.double_value(&[0, 1]) - 2.0 * rare / rare.hypot(1.0)).abs() < 1e-6);
        assert!((dense.double_value(&[1, 0]) - 2.0).abs() < 1e-6);
    }
}
