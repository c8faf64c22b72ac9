//! `bench`: variants and seeds under equal conditions, and a table that says which is better and how sure one can be.

mod cells;
mod curves;
mod grid;
mod results;
mod statistics;
mod tables;

pub use grid::Grid;

use crate::durable;
use crate::evaluation::figures::{self, Figure};
use crate::experiment;
use crate::outln;
use crate::plugins::Registry;
use crate::settings::Sources;
use anyhow::{Context, Result, bail};
use cells::Outcome;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The algorithm with whose advantages' variance all others' is compared.
const REINFORCE: &str = "reinforce";

/// How a comparison is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The grid file.
    pub grid: Option<PathBuf>,
    /// Algorithms to compare, beside the grid's variants.
    pub algorithms: Vec<String>,
    /// Seeds in place of the grid's.
    pub seeds: Vec<u64>,
    /// Runs at once.
    pub jobs: usize,
    /// Folder of the comparison; one that exists goes on.
    pub out: PathBuf,
}

/// Runs whatever is not done and writes the tables.
///
/// # Errors
/// The grid or a setting is wrong, the folder cannot be written, or no cell finished.
pub fn run(order: &Order, sources: &Sources, registry: &Registry, plugins: &[PathBuf]) -> Result<()> {
    let mut grid = order.grid.as_deref().map(Grid::read).transpose()?.unwrap_or_default();
    grid.add_algorithms(&order.algorithms);
    if !order.seeds.is_empty() {
        grid.seeds.clone_from(&order.seeds);
    }
    grid.check()?;
    let cells = grid.cells(sources, registry)?;
    std::fs::create_dir_all(&order.out).with_context(|| format!("making {}", order.out.display()))?;
    let outcomes = cells::run_all(&cells, &order.out, order.jobs, plugins)?;
    let names: Vec<String> = grid.variants.iter().map(|variant| variant.name.clone()).collect();
    let text = write_tables(&grid, &cells, &outcomes, &names, &order.out)?;
    write_manifest(&grid, &outcomes, registry, &order.out)?;
    outln!("\n{text}\n{}", order.out.display());
    Ok(())
}

fn write_tables(
    grid: &Grid,
    cells: &[grid::Cell],
    outcomes: &[Outcome],
    names: &[String],
    out: &Path,
) -> Result<String> {
    let results = results::read(outcomes)?;
    if results.is_empty() {
        bail!("no cell finished; {} holds their logs", out.join("cells").display());
    }
    let (main, further) = shown(grid, cells);
    let title = if grid.title.is_empty() { "Comparison" } else { &grid.title };
    let summary = tables::Summary::new(title, &results, names, &main).without_empty_columns();
    summary.write(out, "results")?;
    let beside = tables::Summary::new(&format!("{title}: further figures"), &results, names, &further);
    beside.without_empty_columns().write(out, "further")?;
    for key in grid.figures.iter().filter(|key| !results::has(&results, key)) {
        log::warn!("no row has the figure `{key}` that the grid asks for; further.md shows what there is");
    }
    let (tests, tests_csv) = tables::tests(&results, names, grid.reference(), &main);
    durable::write_file(&out.join("tests.md"), tests.as_bytes())?;
    durable::write_file(&out.join("tests.csv"), tests_csv.as_bytes())?;
    let reinforce = cells.iter().find(|cell| cell.settings.algo.name == REINFORCE).map(|cell| cell.variant.as_str());
    curves::draw(outcomes, names, reinforce, &out.join("curves"))?;
    let mut text = format!("{}\n{tests}", summary.to_markdown());
    for outcome in outcomes {
        if let Err(error) = &outcome.run {
            text += &format!("\nfailed: {}, seed {}: {error}", outcome.variant, outcome.seed);
        }
    }
    Ok(text)
}

/// The figures of the main table and of the further one: by all evaluators of all cells, up to the largest cutoff.
fn shown(grid: &Grid, cells: &[grid::Cell]) -> (Vec<Figure>, Vec<Figure>) {
    let mut evaluators: Vec<String> = Vec::new();
    let mut cutoffs: Vec<i64> = Vec::new();
    for cell in cells {
        evaluators.extend(cell.settings.evaluator.names.iter().cloned());
        cutoffs.extend(&cell.settings.evaluation.cutoffs);
    }
    let mut seen = std::collections::BTreeSet::new();
    evaluators.retain(|name| seen.insert(name.clone()));
    cutoffs.sort_unstable();
    cutoffs.dedup();
    let largest = cutoffs.last().copied().unwrap_or(1);
    let mut main = figures::main(&evaluators, largest);
    let own = grid.figures.iter().filter(|key| !main.iter().any(|figure| figure.key == **key));
    let own: Vec<Figure> = own.map(|key| Figure::named(key)).collect();
    main.extend(own);
    (main, [figures::further(&evaluators, &cutoffs), figures::of_paths(largest)].concat())
}

/// What it takes to do the same again.
fn write_manifest(grid: &Grid, outcomes: &[Outcome], registry: &Registry, out: &Path) -> Result<()> {
    let runs = outcomes.iter().map(|outcome| {
        let data = outcome.run.as_ref().ok().and_then(|run| {
            let text = std::fs::read_to_string(run.join("manifest.json")).ok()?;
            serde_json::from_str::<serde_json::Value>(&text).ok()?.get("data_hash").cloned()
        });
        json!({
            "variant": outcome.variant, "seed": outcome.seed, "data_hash": data,
            "run": outcome.run.as_ref().ok(), "error": outcome.run.as_ref().err(),
        })
    });
    let manifest = json!({
        "command": std::env::args().collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "seeds": grid.seeds,
        "seeds_decide": grid.seeds_decide,
        "reference": grid.reference(),
        "components": experiment::provenance(registry)?,
        "cells": runs.collect::<Vec<_>>(),
    });
    durable::write_file(&out.join("manifest.json"), format!("{manifest:#}\n").as_bytes())?;
    Ok(())
}
