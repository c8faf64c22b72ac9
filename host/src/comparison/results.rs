//! What the finished cells found, read back from their tables.

use super::cells::Outcome;
use crate::report::BEST_OF;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// Figures of one row under one seed.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Mean of every figure over the prompts.
    pub means: BTreeMap<String, f64>,
    /// Every figure of every prompt.
    pub per_prompt: BTreeMap<String, Vec<f64>>,
}

/// Row, then seed.
pub type Results = BTreeMap<String, BTreeMap<u64, Found>>;

/// The row of the policy from which all variants of a seed start.
pub use crate::experiment::IMITATION;
/// How the rows of that policy under further reward models begin.
pub const STARTS: &str = "imitation-";

/// The rows of a starting policy: those of cells with another reward model than the first are `imitation-REWARD`, for
/// the reward model re-ranks and may have selected the policy.
fn starting_row(reward: &str, first: Option<&str>) -> String {
    if first == Some(reward) { IMITATION.to_owned() } else { format!("{STARTS}{reward}") }
}

/// Reads the tables of all cells that finished. A starting policy that another reward model left as it was stands there
/// once.
///
/// # Errors
/// A table is missing or malformed.
pub fn read(outcomes: &[Outcome]) -> Result<Results> {
    let mut results = Results::new();
    let first = outcomes.iter().find(|outcome| outcome.run.is_ok()).map(|outcome| outcome.reward.as_str());
    for outcome in outcomes {
        let Ok(folder) = &outcome.run else { continue };
        let tables = folder.join("tables");
        let found = read_cell(&tables).with_context(|| format!("reading {}", tables.display()))?;
        for (label, found) in found {
            let (policy, re_ranked) = label.split_once(BEST_OF).map_or((&label[..], None), |(a, n)| (a, Some(n)));
            let start = starting_row(&outcome.reward, first);
            let policy = if policy == IMITATION { &start } else { &outcome.variant };
            let row = re_ranked.map_or(policy.clone(), |count| format!("{policy}{BEST_OF}{count}"));
            results.entry(row).or_default().entry(outcome.seed).or_insert(found);
        }
    }
    let same = |row: &BTreeMap<u64, Found>, other: &BTreeMap<u64, Found>| {
        row.iter().all(|(seed, found)| other.get(seed).is_some_and(|it| it.means == found.means))
    };
    if let Some(original) = results.get(IMITATION).cloned() {
        results.retain(|name, row| !name.starts_with(STARTS) || name.contains(BEST_OF) || !same(row, &original));
    }
    Ok(results)
}

/// Whether some row has the figure.
pub fn has(results: &Results, figure: &str) -> bool {
    results.values().flat_map(BTreeMap::values).any(|found| found.means.contains_key(figure))
}

fn read_cell(tables: &Path) -> Result<BTreeMap<String, Found>> {
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    let mut means = csv::Reader::from_path(tables.join("all_figures.csv"))?;
    let labels: Vec<String> = means.headers()?.iter().skip(1).map(str::to_owned).collect();
    for record in means.records() {
        let record = record?;
        let figure = record.get(0).unwrap_or_default().to_owned();
        for (label, cell) in labels.iter().zip(record.iter().skip(1)) {
            if let Ok(value) = cell.parse() {
                all.entry(label.clone()).or_default().means.insert(figure.clone(), value);
            }
        }
    }
    let mut prompts = csv::Reader::from_path(tables.join("per_prompt.csv"))?;
    let names: Vec<String> = prompts.headers()?.iter().skip(1).map(str::to_owned).collect();
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    for record in prompts.records() {
        for (column, cell) in columns.iter_mut().zip(record?.iter().skip(1)) {
            column.push(cell.parse().unwrap_or(f64::NAN));
        }
    }
    for (name, values) in names.iter().zip(columns) {
        let Some((label, figure)) = name.split_once(':') else { bail!("`{name}` names no policy") };
        all.entry(label.to_owned()).or_default().per_prompt.insert(figure.to_owned(), values);
    }
    Ok(all)
}

/// A figure's difference between two rows, prompt by prompt, averaged over the seeds that both have; and seed by seed.
pub fn differences(results: &Results, row: &str, reference: &str, figure: &str) -> Option<(Vec<f64>, Vec<f64>)> {
    let (mine, theirs) = (results.get(row)?, results.get(reference)?);
    let (mut of_prompts, mut of_seeds): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for (seed, found) in mine {
        let Some(other) = theirs.get(seed) else { continue };
        let (a, b) = (found.per_prompt.get(figure)?, other.per_prompt.get(figure)?);
        if a.len() != b.len() {
            return None;
        }
        of_prompts.resize(a.len(), 0.0);
        for (sum, (a, b)) in of_prompts.iter_mut().zip(a.iter().zip(b)) {
            *sum += a - b;
        }
        of_seeds.push(super::statistics::mean(a) - super::statistics::mean(b));
    }
    let seeds = of_seeds.len() as f64;
    of_prompts.iter_mut().for_each(|sum| *sum /= seeds.max(1.0));
    (!of_seeds.is_empty()).then_some((of_prompts, of_seeds))
}
