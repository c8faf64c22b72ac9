//! Learning curves as SVG: one drawing a metric, one line a variant, the mean over its seeds.

use super::cells::Outcome;
use super::statistics::mean;
use crate::drawing::{self, Axes};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Metrics that are drawn: name in the log, file, heading.
const CURVES: [(&str, &str, &str); 11] = [
    ("rollout/ioi", "ioi", "IoI of rollouts (nats)"),
    ("rollout/ior", "ior", "IoR of rollouts (ranks)"),
    ("rollout/ctr", "ctr", "CTR of rollouts"),
    ("rollout/length", "length", "Length of rollouts (items)"),
    ("rollout/stopped", "stopped", "Share of rollouts that stopped by choice"),
    ("rollout/repeats", "repeats", "Share of repeated items in rollouts"),
    ("policy/entropy", "entropy", "Entropy of the policy over whole paths (nats)"),
    ("algorithm/kl", "kl", "KL to the reference (nats)"),
    (VARIANCE, "advantage_variance", "Variance of advantages"),
    (RELATIVE_VARIANCE, "relative_advantage_variance", "Variance of advantages, relative to REINFORCE"),
    ("algorithm/zero_variance_groups", "zero_variance_groups", "Share of groups without variance"),
];
/// What the relative variance is made from.
const VARIANCE: &str = "algorithm/advantage_variance";
/// Variance of a variant's advantages over that of REINFORCE in the same comparison; in no log.
const RELATIVE_VARIANCE: &str = "relative_advantage_variance";
/// Points of a line.
const POINTS: usize = 40;

/// Values of one metric by step, seed after seed.
type Series = BTreeMap<u64, Vec<f64>>;

/// Metrics of every variant.
type Logs<'a> = BTreeMap<&'a str, BTreeMap<String, Series>>;

/// Draws every curve that some cell logged into `folder`; `reinforce` is the variant whose advantages' variance the
/// others' is compared with, if there is one.
///
/// # Errors
/// A log is malformed or a drawing cannot be written.
pub fn draw(outcomes: &[Outcome], order: &[String], reinforce: Option<&str>, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut logs = Logs::new();
    for outcome in outcomes {
        if let Ok(run) = &outcome.run {
            read(run, logs.entry(&outcome.variant).or_default())?;
        }
    }
    for (metric, file, heading) in CURVES {
        let lines: Vec<(&str, Vec<(f64, f64)>)> =
            order.iter().filter_map(|name| Some((name.as_str(), points(&logs, name, metric, reinforce)?))).collect();
        if !lines.is_empty() {
            drawing::lines(&folder.join(format!("{file}.svg")), heading, Axes::linear("step"), &lines)?;
        }
    }
    Ok(())
}

/// One variant's line of one metric; none where nothing was logged.
fn points(logs: &Logs<'_>, name: &str, metric: &str, reinforce: Option<&str>) -> Option<Vec<(f64, f64)>> {
    if metric == RELATIVE_VARIANCE {
        return relative(logs.get(name)?.get(VARIANCE)?, logs.get(reinforce?)?.get(VARIANCE)?);
    }
    Some(smoothed(logs.get(name)?.get(metric)?))
}

/// One series over another at the steps that both have: a ratio of means, not a mean of ratios, which single small
/// denominators would rule.
fn relative(series: &Series, reference: &Series) -> Option<Vec<(f64, f64)>> {
    let common = |of: &Series, other: &Series| -> Series {
        of.iter().filter(|(step, _)| other.contains_key(step)).map(|(&step, values)| (step, values.clone())).collect()
    };
    let (mine, theirs) = (smoothed(&common(series, reference)), smoothed(&common(reference, series)));
    let pairs = mine.into_iter().zip(theirs).filter(|(_, (_, below))| *below > 0.0);
    let ratios: Vec<_> = pairs.map(|((step, above), (_, below))| (step, above / below)).collect();
    (!ratios.is_empty()).then_some(ratios)
}

fn read(run: &Path, metrics: &mut BTreeMap<String, Series>) -> Result<()> {
    for line in std::fs::read_to_string(run.join("metrics.jsonl"))?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let (Some("rl"), Some(step), Some(values)) =
            (row["stage"].as_str(), row["step"].as_u64(), row["values"].as_object())
        else {
            continue;
        };
        for (name, value) in values {
            if let Some(value) = value.as_f64() {
                metrics.entry(name.clone()).or_default().entry(step).or_default().push(value);
            }
        }
    }
    Ok(())
}

/// Means over seeds, then over neighbouring steps.
fn smoothed(series: &Series) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = series.iter().map(|(step, values)| (*step as f64, mean(values))).collect();
    points
        .chunks(points.len().div_ceil(POINTS).max(1))
        .map(|part| {
            let (steps, values): (Vec<f64>, Vec<f64>) = part.iter().copied().unzip();
            (mean(&steps), mean(&values))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[(u64, f64)]) -> Series {
        values.iter().map(|&(step, value)| (step, vec![value])).collect()
    }

    #[test]
    fn a_variance_is_compared_at_the_steps_that_both_have() {
        let (mine, theirs) = (series(&[(0, 1.0), (1, 3.0), (2, 9.0)]), series(&[(0, 4.0), (1, 2.0)]));
        assert_eq!(relative(&mine, &theirs), Some(vec![(0.0, 0.25), (1.0, 1.5)]));
        assert_eq!(relative(&theirs, &theirs), Some(vec![(0.0, 1.0), (1.0, 1.0)]));
        assert_eq!(relative(&mine, &series(&[(7, 1.0)])), None);
        assert_eq!(relative(&mine, &series(&[(0, 0.0), (1, 0.0)])), None);
    }
}
