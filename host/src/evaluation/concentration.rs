//! How a policy spreads its recommendations over the catalogue.

/// The Gini coefficient of how often each of `n` items is recommended: `Σ_i (2i − n − 1) x_i / (n Σ_i x_i)` with the
/// counts `x_1 ≤ … ≤ x_n`. 0 where all are recommended equally often, `1 − 1/n` where only one is; 0 without any.
///
/// As in RecBole's `GiniIndex` and in Fleder and Hosanagar, Blockbuster Culture's Next Rise or Fall, 2009.
pub fn gini(counts: &[u64]) -> f64 {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let (count, total) = (sorted.len() as f64, sorted.iter().sum::<u64>() as f64);
    if total == 0.0 {
        return 0.0;
    }
    let weighted = sorted.iter().enumerate().map(|(index, &x)| (2.0 * (index as f64 + 1.0) - count - 1.0) * x as f64);
    weighted.sum::<f64>() / (count * total)
}

/// Share of the items that are recommended at all; 0 without items.
pub fn coverage(counts: &[u64]) -> f64 {
    counts.iter().filter(|&&count| count > 0).count() as f64 / counts.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn closed_forms() {
        assert_eq!(gini(&[3, 3, 3, 3]), 0.0);
        assert_eq!(gini(&[0, 0, 0, 8]), 0.75);
        // (−3·1 − 1·2 + 1·3 + 3·4) / (4 · 10)
        assert!((gini(&[4, 1, 3, 2]) - 0.25).abs() < 1e-12);
        assert_eq!((gini(&[]), gini(&[0, 0])), (0.0, 0.0));
        assert_eq!((coverage(&[0, 2, 1, 0]), coverage(&[])), (0.5, 0.0));
    }

    proptest! {
        /// The coefficient is half the relative mean absolute difference.
        #[test]
        fn it_is_half_the_relative_mean_difference(counts in prop::collection::vec(0u64..50, 1..30)) {
            let total: u64 = counts.iter().sum();
            prop_assume!(total > 0);
            let differences: u64 = counts.iter().flat_map(|a| counts.iter().map(move |b| a.abs_diff(*b))).sum();
            let count = counts.len() as f64;
            let expected = differences as f64 / (2.0 * count * total as f64);
            prop_assert!((gini(&counts) - expected).abs() < 1e-9);
        }
    }
}
