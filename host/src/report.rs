//! The final tables: who is better, by how much, under whose eyes.

use crate::evaluation::Evaluation;
use crate::evaluation::figures::{self, Figure};
use crate::experiment::Stopwatch;
use crate::run_folder::RunFolder;
use crate::stages::reward_model::TrainedReward;
use crate::tables::{Column, Table};
use crate::workbench::Workbench;
use anyhow::Result;
use prorl_sdk::metrics::Direction;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Between a policy's name and the number of beams from which the reward model chose one.
pub const BEST_OF: &str = " best-of-";

/// Writes all tables of a run and gives the main ones as text for a terminal.
///
/// # Errors
/// The folder cannot be written.
pub fn write(
    bench: &Workbench,
    run: &RunFolder,
    results: &[(String, Evaluation)],
    rewards: &[TrainedReward],
    curve: &[Value],
    watch: &Stopwatch,
) -> Result<String> {
    let folder = run.tables();
    let main = main_table(bench, results);
    let mut text = main.to_text();
    main.write(&folder, "results")?;
    further_table(bench, results).write(&folder, "further")?;
    length_table(bench, results).write(&folder, "lengths")?;
    all_figures(results).write(&folder, "all_figures")?;
    for table in [paired(bench, results), Some(reward_table(rewards)), epochs(curve), Some(seconds(watch))] {
        let Some(table) = table else { continue };
        let _ = write!(text, "\n{}", table.to_text());
        table.write(&folder, &table.title.to_lowercase().replace([' ', ','], "_"))?;
    }
    per_prompt(results).write_csv(&folder, "per_prompt")?;
    crate::durable::write_file(&folder.join("curve.json"), json!(curve).to_string().as_bytes())?;
    Ok(text)
}

/// How well reward models predict, as text.
pub fn rewards(rewards: &[TrainedReward]) -> String {
    reward_table(rewards).to_text()
}

/// Figures of the best beam, cut at the largest `k`.
fn main_table(bench: &Workbench, results: &[(String, Evaluation)]) -> Table {
    let k = bench.settings.evaluation.cutoffs.iter().copied().max().unwrap_or(1);
    let shown = [figures::main(&bench.settings.evaluator.names, k), figures::of_paths(k)].concat();
    table_of(&format!("Best of {} beams, up to {k} items", bench.settings.evaluation.beams), &shown, results)
}

/// Figures beyond the method's.
fn further_table(bench: &Workbench, results: &[(String, Evaluation)]) -> Table {
    let shown = figures::further(&bench.settings.evaluator.names, &bench.settings.evaluation.cutoffs);
    table_of("Further figures of the best beam", &shown, results)
}

/// How many best beams have how many items.
fn length_table(bench: &Workbench, results: &[(String, Evaluation)]) -> Table {
    let k = bench.settings.evaluation.cutoffs.iter().copied().max().unwrap_or(1);
    table_of("Share of best beams by length", &figures::lengths(k), results)
}

/// A row for every policy, a column for every figure that some policy has.
fn table_of(title: &str, shown: &[Figure], results: &[(String, Evaluation)]) -> Table {
    let known: Vec<_> = results.iter().map(|(_, evaluation)| evaluation.figures()).collect();
    let shown: Vec<_> = shown.iter().filter(|figure| known.iter().any(|it| it.contains_key(&figure.key))).collect();
    let column = |figure: &&Figure| Column::new(&figure.heading, figure.direction, figure.decimals);
    let mut table = Table::new(title, shown.iter().map(column).collect());
    for ((label, _), known) in results.iter().zip(&known) {
        table.row(label, shown.iter().map(|figure| known.get(&figure.key).copied()).collect());
    }
    table
}

/// Every figure of every policy.
fn all_figures(results: &[(String, Evaluation)]) -> Table {
    let columns = results.iter().map(|(label, _)| Column::new(label, Direction::None, 4)).collect();
    let mut table = Table::new("All figures", columns);
    let known: Vec<_> = results.iter().map(|(_, evaluation)| evaluation.figures()).collect();
    for figure in known.first().into_iter().flat_map(|figures| figures.keys()) {
        table.row(figure, known.iter().map(|figures| figures.get(figure).copied()).collect());
    }
    table
}

/// The last policy's differences to the first, paired over prompts.
fn paired(bench: &Workbench, results: &[(String, Evaluation)]) -> Option<Table> {
    let plain: Vec<_> = results.iter().filter(|(label, _)| !label.contains(BEST_OF)).collect();
    let [(before, first), .., (after, last)] = plain[..] else { return None };
    let k = bench.settings.evaluation.cutoffs.iter().copied().max().unwrap_or(1);
    let columns = vec![
        Column::new("Difference", Direction::None, 4),
        Column::new("Standard error", Direction::None, 4),
        Column::new("t", Direction::None, 1),
    ];
    let mut table = Table::new(&format!("{after} less {before}, paired over prompts"), columns);
    let evaluators = bench.settings.evaluator.names.iter();
    let figures = evaluators.flat_map(|name| ["ioi", "ior", "ctr"].map(|figure| format!("{name}/{figure}@{k}")));
    for figure in figures.chain([format!("coherence@{k}"), "length".into()]) {
        if let Some((mean, error)) = last.paired_difference(first, &figure) {
            table.row(&figure, vec![Some(mean), Some(error), (error > 0.0).then(|| mean / error)]);
        }
    }
    Some(table)
}

fn reward_table(rewards: &[TrainedReward]) -> Table {
    let figures = ["recall@10", "ndcg@10", "mrr@10", "recall@20", "ndcg@20"];
    let mut columns: Vec<Column> = figures.iter().map(|name| Column::new(name, Direction::Up, 4)).collect();
    columns.push(Column::new("seconds", Direction::Down, 1));
    let mut table = Table::new("Reward models", columns);
    for reward in rewards {
        let cells = figures.iter().map(|&figure| reward.test.get(figure).copied());
        let seconds = (reward.seconds > 0.0).then_some(reward.seconds); // the truth is not trained
        table.row(&reward.name, cells.chain([seconds]).collect());
    }
    table
}

/// What the rollouts of each epoch looked like.
fn epochs(curve: &[Value]) -> Option<Table> {
    if curve.is_empty() {
        return None;
    }
    let figures = [
        "rollout/ioi",
        "rollout/ior",
        "rollout/ctr",
        "rollout/length",
        "rollout/stopped",
        "rollout/repeats",
        "rollout/invalid",
        "policy/entropy",
    ];
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let mut columns: Vec<Column> = figures.iter().map(|name| Column::new(&short(name), Direction::None, 3)).collect();
    columns.push(Column::new("validation IoI_max", Direction::None, 3));
    let mut table = Table::new("Epochs", columns);
    for row in curve {
        let cells = figures.iter().map(|&figure| row["figures"][figure].as_f64());
        table.row(&row["epoch"].to_string(), cells.chain([row["validation"].as_f64()]).collect());
    }
    Some(table)
}

fn seconds(watch: &Stopwatch) -> Table {
    let mut table = Table::new("Seconds by stage", vec![Column::new("seconds", Direction::None, 1)]);
    for (stage, seconds) in watch.stages() {
        table.row(stage, vec![Some(*seconds)]);
    }
    table
}

/// Every figure of every prompt, for tests of one's own.
fn per_prompt(results: &[(String, Evaluation)]) -> Table {
    let names = results.iter().flat_map(|(label, evaluation)| {
        evaluation.per_prompt().iter().map(move |(figure, values)| (format!("{label}:{figure}"), values))
    });
    let (names, values): (Vec<String>, Vec<&Vec<f32>>) = names.unzip();
    let mut table = Table::new("per_prompt", names.iter().map(|it| Column::new(it, Direction::None, 6)).collect());
    for prompt in 0..values.iter().map(|values| values.len()).max().unwrap_or(0) {
        table.row(&prompt.to_string(), values.iter().map(|it| it.get(prompt).map(|&v| f64::from(v))).collect());
    }
    table
}
