//! The benchmark of this tree and of another revision, by turns, so that both meet the machine in the same moods.

use crate::command::run;
use crate::setup::{self, Libtorch};
use crate::workspace::{WAITING, WithLibtorch, Workspace};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pairs of runs.
const ROUNDS: usize = 5;

/// Seconds of every task, round after round.
type Seconds = BTreeMap<String, Vec<f64>>;

/// Builds `revision` beside this tree, runs both by turns and prints how they compare, pair by pair.
///
/// # Errors
/// There is no such revision, it does not build, or a benchmark fails.
pub fn compare(workspace: &Workspace, revision: &str, args: &[OsString]) -> Result<()> {
    let libtorch = setup::libtorch(workspace)?;
    run(workspace.cargo(["build", "--release", "--workspace"]).with(&libtorch)?)?;
    let other = Other::build(workspace, revision, &libtorch)?;
    let (mut now, mut then) = (Seconds::new(), Seconds::new());
    for round in 0..ROUNDS {
        println!("round {} of {ROUNDS}", round + 1);
        // Who comes first changes, so that neither always finds the caches warm.
        for ours in [round % 2 == 0, round % 2 == 1] {
            if ours {
                time(workspace.bench().args(args).with(&libtorch)?, &mut now)?;
            } else {
                time(other.bench().args(args).with(&libtorch)?, &mut then)?;
            }
        }
    }
    println!("\n{}", table(revision, &then, &now));
    Ok(())
}

/// Another revision, checked out and built in a folder of its own.
struct Other {
    tree: PathBuf,
    target: PathBuf,
}

impl Other {
    fn build(workspace: &Workspace, revision: &str, libtorch: &Libtorch) -> Result<Self> {
        let commit = commit(&workspace.root, revision)?;
        let folder = workspace.root.join("target/revisions");
        let (tree, target) = (folder.join(&commit), folder.join("target"));
        if !tree.exists() {
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            let mut checkout = Command::new("git");
            run(checkout.current_dir(&workspace.root).args(["worktree", "add", "--detach"]).arg(&tree).arg(&commit))?;
            std::os::unix::fs::symlink(workspace.libtorch(), tree.join(".libtorch"))
                .with_context(|| format!("linking libtorch into {}", tree.display()))?;
        }
        let mut build = Command::new("cargo");
        build.current_dir(&tree).env("CARGO_TARGET_DIR", &target).args(["build", "--release", "--workspace"]);
        run(build.with(libtorch)?).with_context(|| format!("building {revision}"))?;
        Ok(Self { tree, target })
    }

    fn bench(&self) -> Command {
        let mut command = Command::new(self.target.join("release/prorl-bench"));
        command.current_dir(&self.tree).env_remove(WAITING);
        command
    }
}

fn commit(root: &Path, revision: &str) -> Result<String> {
    let wanted = format!("{revision}^{{commit}}");
    let output = Command::new("git").current_dir(root).args(["rev-parse", "--verify", "--short=12", &wanted]).output();
    let output = output.context("cannot start git")?;
    if !output.status.success() {
        bail!("`{revision}` is no revision of this repository");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a benchmark and adds what it measured.
fn time(bench: &mut Command, seconds: &mut Seconds) -> Result<()> {
    let output = bench.output().context("cannot start prorl-bench")?;
    if !output.status.success() {
        bail!("prorl-bench failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    for (task, measured) in String::from_utf8_lossy(&output.stdout).lines().filter_map(timing) {
        seconds.entry(task).or_default().push(measured);
    }
    Ok(())
}

/// `name  seconds s  precision: what` as a task in a precision and its seconds.
fn timing(line: &str) -> Option<(String, f64)> {
    let mut words = line.split_whitespace();
    let (name, seconds, unit) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    let precision = words.next()?.strip_suffix(':')?;
    (unit == "s").then(|| (format!("{name} {precision}"), seconds))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Medians of both, and the median and the extremes of the ratios within pairs.
fn table(revision: &str, then: &Seconds, now: &Seconds) -> String {
    let mut text = format!("{:20} {revision:>14} {:>14} {:>8}   in pairs\n", "task", "this tree", "ratio");
    for (task, ours) in now {
        let Some(theirs) = then.get(task) else { continue };
        let ratios: Vec<f64> = theirs.iter().zip(ours).map(|(then, now)| then / now).collect();
        let (low, high) = ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), &it| (low.min(it), high.max(it)));
        let (before, after) = (median(theirs.clone()), median(ours.clone()));
        text += &format!("{task:20} {before:12.3} s {after:12.3} s {:7.2}x   {low:.2} to {high:.2}\n", median(ratios));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_benchmark_are_understood_and_others_are_not() {
        assert_eq!(timing("sample        0.204 s   float32: 32 prompts"), Some(("sample float32".into(), 0.204)));
        assert_eq!(timing("sample        1.004 s   float32, in Python: 32 prompts"), None);
        assert_eq!(timing("task  ours (s)  Python (s)"), None);
    }

    #[test]
    fn ratios_are_taken_within_pairs() {
        let seconds = |values: &[f64]| Seconds::from([("sample float32".to_owned(), values.to_vec())]);
        let text = table("main", &seconds(&[1.0, 2.0, 4.0]), &seconds(&[0.5, 1.0, 1.0]));
        assert!(text.contains("2.00x   2.00 to 4.00"), "{text}");
    }

    #[test]
    fn a_revision_that_is_none_is_named() {
        let error = commit(Path::new(env!("CARGO_MANIFEST_DIR")), "no-such-revision").err().map(|it| it.to_string());
        assert!(error.is_some_and(|text| text.contains("no-such-revision")));
    }
}
