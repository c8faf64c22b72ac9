//! Runs cells as processes of their own, some at once; a killed comparison goes on where it was.

use super::grid::Cell;
use crate::durable;
use crate::run_folder::RunFolder;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What became of a cell.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of the variant.
    pub variant: String,
    /// Its seed.
    pub seed: u64,
    /// The reward model that it was trained by.
    pub reward: String,
    /// The finished run's folder, or why there is none.
    pub run: Result<PathBuf, String>,
}

/// Written once a cell's tables are complete.
const DONE: &str = "done";

/// Runs all cells that are not done, `jobs` at once, each in a folder of its own under `out`.
///
/// # Errors
/// The folder cannot be written. A failed cell is no error; its outcome says why.
pub fn run_all(cells: &[Cell], out: &Path, jobs: usize, plugins: &[PathBuf]) -> Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(cell) = cells.get(index) else { break };
                    let run = run_one(cell, out, jobs, plugins).map_err(|error| format!("{error:#}"));
                    report(index, cells.len(), cell, &run);
                    let (variant, reward) = (cell.variant.clone(), cell.settings.reward.name.clone());
                    let outcome = Outcome { variant, seed: cell.seed, reward, run };
                    outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

fn report(index: usize, count: usize, cell: &Cell, run: &Result<PathBuf, String>) {
    let (place, Cell { variant, seed, .. }) = (index + 1, cell);
    match run {
        Ok(folder) => log::info!("{place}/{count} {variant}, seed {seed}: {}", folder.display()),
        Err(error) => log::error!("{place}/{count} {variant}, seed {seed}: {error}"),
    }
}

fn run_one(cell: &Cell, out: &Path, jobs: usize, plugins: &[PathBuf]) -> Result<PathBuf> {
    let folder = out.join("cells").join(&cell.variant).join(format!("seed-{}", cell.seed));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let (settings, runs, done) = (folder.join("settings.toml"), folder.join("runs"), folder.join(DONE));
    let same = fs::read_to_string(&settings).is_ok_and(|text| text == cell.settings_text);
    if !same {
        let _ = (fs::remove_dir_all(&runs), fs::remove_file(&done)); // of other settings; may be absent
        durable::write_file(&settings, cell.settings_text.as_bytes())?;
    }
    if !done.exists() {
        start(cell, &folder, &settings, &runs, jobs, plugins)?;
        durable::write_file(&done, b"")?;
    }
    Ok(RunFolder::view(&runs)?.path().to_owned())
}

fn start(cell: &Cell, folder: &Path, settings: &Path, runs: &Path, jobs: usize, plugins: &[PathBuf]) -> Result<()> {
    let log = folder.join("log.txt");
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("run").arg("--runs").arg(runs);
    match RunFolder::view(runs) {
        Ok(run) => command.arg("--resume").arg(run.path()),
        Err(_) => command.arg("--config").arg(settings),
    };
    for plugin in plugins {
        command.arg("--plugin").arg(plugin);
    }
    if jobs > 1 && cell.settings.threads == 0 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.args(["--set", &format!("threads={}", (cores / jobs).max(1))]);
    }
    // The file holds all settings already; the environment's would be laid over them.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PRORL__")) {
        command.env_remove(name);
    }
    let output = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
    let (stdout, stderr) = output.with_context(|| format!("writing {}", log.display()))?;
    let status = command.stdout(stdout).stderr(stderr).status().context("starting a run")?;
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let last = text.lines().rev().find(|line| line.starts_with("error")).or(text.lines().last());
        anyhow::bail!("{status}: {} (all of it in {})", last.unwrap_or("no message"), log.display());
    }
    Ok(())
}
