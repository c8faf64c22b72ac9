//! Whether a difference is more than chance: paired tests, their correction, intervals and effect sizes.

use crate::random_streams::{SplitMix, stream};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Mean of values; 0 of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Unbiased standard deviation; 0 of fewer than two.
pub fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (squares / (values.len().max(2) - 1) as f64).sqrt()
}

/// Two-sided p-value of Student's paired t-test that the differences have mean 0; none of fewer than two, and none of
/// differences that are all the same: copies of one measurement, as of stages that the seeds share, say nothing.
pub fn t_test(differences: &[f64]) -> Option<f64> {
    if differences.len() < 2 {
        return None;
    }
    let (centre, spread, n) = (mean(differences), deviation(differences), differences.len() as f64);
    if spread == 0.0 {
        return None;
    }
    let student = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    Some(2.0 * student.cdf(-(centre / (spread / n.sqrt())).abs()))
}

/// Two-sided p-value of Wilcoxon's signed-rank test: zeros dropped, ties share their mean rank; exact for at most 25
/// untied differences, else by the normal approximation with its correction for ties. None if all are 0.
pub fn wilcoxon(differences: &[f64]) -> Option<f64> {
    let mut kept: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    if kept.is_empty() {
        return None;
    }
    kept.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut positive, mut ties, mut start) = (0.0, 0.0, 0);
    while start < kept.len() {
        let same = kept[start..].iter().take_while(|value| value.abs() == kept[start].abs()).count();
        let rank = start as f64 + (same as f64 + 1.0) / 2.0;
        positive += rank * kept[start..start + same].iter().filter(|value| **value > 0.0).count() as f64;
        ties += (same as f64).powi(3) - same as f64;
        start += same;
    }
    let n = kept.len() as f64;
    let all = n * (n + 1.0) / 2.0;
    if kept.len() <= 25 && ties == 0.0 {
        return Some(exact_wilcoxon(kept.len(), positive.min(all - positive) as usize));
    }
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    let distance = ((positive - all / 2.0).abs() - 0.5).max(0.0); // continuity
    Some(2.0 * Normal::standard().cdf(-distance / variance.sqrt()))
}

/// `2 · P(W ≤ statistic)` over all 2ⁿ signs of the ranks `1..=n`.
fn exact_wilcoxon(n: usize, statistic: usize) -> f64 {
    let mut ways = vec![0.0; n * (n + 1) / 2 + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..ways.len()).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let below: f64 = ways[..=statistic].iter().sum();
    (2.0 * below / 2_f64.powi(n as i32)).min(1.0)
}

/// p-values corrected for their number by Holm's step-down method, in the order given.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut corrected = vec![0.0; values.len()];
    let mut largest: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        largest = largest.max(values[index] * (values.len() - place) as f64).min(1.0);
        corrected[index] = largest;
    }
    corrected
}

/// Resamples of a bootstrap interval.
const RESAMPLES: u64 = 2_000;

/// The 2.5th and 97.5th percentile of the mean over 2,000 resamples, the same for the same seed.
pub fn bootstrap_interval(values: &[f64], seed: u64) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let count = values.len() as u64;
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            let mut random = SplitMix(stream(seed, "bootstrap", resample, 0));
            (0..count).map(|_| values[random.below(count) as usize]).sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    (at(0.025), at(0.975))
}

/// Cohen's `d` of paired differences: their mean over their deviation; none where they do not vary.
pub fn effect_size(differences: &[f64]) -> Option<f64> {
    let spread = deviation(differences);
    (spread > 0.0).then(|| mean(differences) / spread)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Numbers of SciPy 1.13.1's `ttest_1samp` and `wilcoxon` for the same differences.
    #[test]
    fn p_values_are_scipys() {
        let differences = [0.3, -0.1, 0.8, 0.5, 0.9, -0.2, 0.4, 0.7];
        assert!((t_test(&differences).unwrap() - T_TEST).abs() < 1e-6, "{:?}", t_test(&differences));
        assert!((wilcoxon(&differences).unwrap() - WILCOXON).abs() < 1e-9, "{:?}", wilcoxon(&differences));
        let many: Vec<f64> = (0..40).map(|i| f64::from(i % 7) - 2.0).collect();
        assert!((wilcoxon(&many).unwrap() - WILCOXON_TIES).abs() < 1e-6, "{:?}", wilcoxon(&many));
    }

    const T_TEST: f64 = 0.022806752732030297;
    const WILCOXON: f64 = 0.0390625;
    const WILCOXON_TIES: f64 = 0.011029410160461684;

    #[test]
    fn holm_by_hand() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5]);
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
    }

    #[test]
    fn the_bootstrap_covers_the_mean_and_repeats_itself() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let (low, high) = bootstrap_interval(&values, 1);
        assert!(low < 99.5 && 99.5 < high && high - low < 20.0, "{low} {high}");
        assert_eq!(bootstrap_interval(&values, 1), (low, high));
        assert_ne!(bootstrap_interval(&values, 2), (low, high));
    }

    #[test]
    fn what_does_not_vary_is_no_chance() {
        assert_eq!(t_test(&[1.0, 1.0]), None);
        assert_eq!(t_test(&[0.0, 0.0]), None);
        assert_eq!(t_test(&[1.0]), None);
        assert_eq!(wilcoxon(&[0.0, 0.0]), None);
        assert_eq!(effect_size(&[1.0, 1.0]), None);
    }
}
