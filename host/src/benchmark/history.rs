//! Measurements kept from one day to the next: a file of JSON lines, each with all that a figure depends on.

use super::Sizes;
use crate::run_folder::{Git, LIBTORCH_VERSION, Machine, utc_time};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// One task on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The task.
    pub task: String,
    /// Kind of the factors of the policy's products.
    pub precision: String,
    /// Median seconds.
    pub seconds: f64,
    /// Most bytes held.
    pub peak: Option<u64>,
    /// Seconds of the same in Python in float32, where that was measured beside it.
    pub python: Option<f64>,
}

/// One run of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, in UTC.
    pub time: String,
    /// The commit that was checked out, and whether other files than the one that keeps this differ from it.
    pub git: Option<Git>,
    /// This program's version.
    pub host: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The machine; its name is left out, for the file is meant to be shared.
    pub machine: Machine,
    /// Threads used.
    pub threads: i32,
    /// Device used.
    pub device: String,
    /// Prompts, paths a prompt, items a path.
    pub sizes: [i64; 3],
    /// What was measured.
    pub figures: Vec<Figure>,
}

impl Record {
    /// A record of now, for the file at `path`.
    pub fn new(path: &Path, sizes: &Sizes, threads: i32, figures: Vec<Figure>) -> Self {
        Self {
            time: utc_time(),
            git: Git::apart_from(path),
            host: env!("CARGO_PKG_VERSION").into(),
            libtorch: LIBTORCH_VERSION.into(),
            machine: Machine { name: String::new(), ..Machine::this() },
            threads,
            device: crate::workbench::device_name(sizes.device),
            sizes: [sizes.prompts, sizes.group, sizes.path_items],
            figures,
        }
    }

    /// Whether its figures are of the same work on the same machine.
    fn compares_with(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.machine.clone(), it.threads, it.device.clone(), it.sizes);
        of(self) == of(other)
    }

    /// The figure of a task in a precision.
    fn figure(&self, task: &str, precision: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.task == task && figure.precision == precision)
    }

    /// Lines that say what became slower or faster since `earlier`.
    pub fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let change = |figure: &Figure| {
            let before = earlier.figure(&figure.task, &figure.precision)?.seconds;
            let share = 100.0 * (figure.seconds / before - 1.0);
            let (task, precision, now) = (&figure.task, &figure.precision, figure.seconds);
            Some(format!("{task:9} {precision:8} {before:9.3} s then, {now:9.3} s now: {share:+.0} %"))
        };
        self.figures.iter().filter_map(change).collect()
    }
}

/// Adds `record` to the file and gives the last one before it that compares with it.
///
/// # Errors
/// The file cannot be read or written, or holds something else.
pub fn append(path: &Path, record: &Record) -> Result<Option<Record>> {
    let before = if path.exists() { read(path)? } else { Vec::new() };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.with_context(|| format!("opening {}", path.display()))?;
    writeln!(file, "{}", serde_json::to_string(record)?).with_context(|| format!("writing {}", path.display()))?;
    Ok(before.into_iter().rev().find(|earlier| record.compares_with(earlier)))
}

fn read(path: &Path) -> Result<Vec<Record>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let records = text.lines().enumerate().map(|(line, text)| {
        serde_json::from_str(text)
            .with_context(|| format!("{}:{}: this is no record; mend or delete the line", path.display(), line + 1))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::Device;

    fn record(seconds: f64, threads: i32) -> Record {
        let sizes = Sizes { repeats: 1, ..Sizes::of_the_comparison(Device::Cpu) };
        let figure =
            Figure { task: "sample".into(), precision: "float32".into(), seconds, peak: Some(1), python: None };
        Record::new(Path::new("history.jsonl"), &sizes, threads, vec![figure])
    }

    #[test]
    fn a_record_is_compared_with_the_last_of_the_same_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept/history.jsonl");
        assert_eq!(append(&path, &record(1.0, 2)).unwrap(), None);
        assert_eq!(append(&path, &record(7.0, 1)).unwrap(), None);
        let earlier = append(&path, &record(0.5, 2)).unwrap().unwrap();
        let changes = record(0.5, 2).changes_since(&earlier);
        assert_eq!(changes.len(), 1);
        assert!(changes[0].ends_with("0.500 s now: -50 %"), "{changes:?}");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append(&path, &record(1.0, 2)).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "{}\n").unwrap();
        let error = format!("{:#}", append(&path, &record(1.0, 2)).unwrap_err());
        assert!(error.contains("history.jsonl:2: this is no record"), "{error}");
    }
}
