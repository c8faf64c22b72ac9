//! The project's chores, as `cargo xtask <task>`.

mod command;
mod gpu_check;
mod libtorch;
mod lock;
mod pip;
mod python_torch;
mod revisions;
mod setup;
mod tasks;
mod unpack;
mod wheels;
mod workspace;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Chores of prorl-host: set-up, demo, tests, checks, benchmarks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make libtorch available at `.libtorch`; every other task does this too
    Setup,
    /// Set up, build everything and run the whole pipeline on generated data
    Demo {
        /// Passed on to `prorl-host run --preset demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
    /// Set up, build everything and run the tests
    Test {
        /// Passed on to `cargo test`: a filter, `-p PACKAGE`, `-- --nocapture`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
    /// The quick checks: formatting, then clippy
    Check,
    /// All that has to hold before a merge, cheapest first: formatting, clippy, tests
    Ci,
    /// Check and time on a GPU: golden numbers, NCCL, a step at the paper's batch
    GpuCheck {
        /// A Python with torch, transformers and recbole, to time the original side by side
        #[arg(long, value_name = "PATH")]
        python: Option<PathBuf>,
        /// Passed on to `prorl-bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
    /// Build and run the benchmarks; figures are kept in benchmarks/history.jsonl
    Bench {
        /// A Python with torch, to measure the original side by side
        #[arg(long, value_name = "PATH")]
        python: Option<PathBuf>,
        /// Build this revision, too, and run both by turns
        #[arg(long, value_name = "REVISION", conflicts_with = "python")]
        against: Option<String>,
        /// Time the hot kernels alone, with criterion
        #[arg(long, conflicts_with_all = ["python", "against"])]
        kernels: bool,
        /// Passed on to `prorl-bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = workspace::Workspace::find()?;
    match task {
        Task::Setup => tasks::setup(&workspace),
        Task::Demo { args } => tasks::demo(&workspace, &args),
        Task::Test { args } => tasks::test(&workspace, &args),
        Task::Check => tasks::check(&workspace),
        Task::Ci => tasks::ci(&workspace),
        Task::GpuCheck { python, args } => gpu_check::gpu_check(&workspace, python.as_deref(), &args),
        Task::Bench { kernels: true, args, .. } => tasks::kernels(&workspace, &args),
        Task::Bench { against: Some(revision), args, .. } => revisions::compare(&workspace, &revision, &args),
        Task::Bench { python, args, .. } => tasks::bench(&workspace, python.as_deref(), &args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn test_passes_on_what_follows_the_first_dashes() {
        let parsed = Arguments::try_parse_from(["xtask", "test", "--", "loss", "--", "--nocapture"]);
        assert!(matches!(parsed, Ok(Arguments { task: Task::Test { args } }) if args == ["loss", "--", "--nocapture"]));
    }

    #[test]
    fn test_keeps_dashes_that_are_cargos() {
        let parsed = Arguments::try_parse_from(["xtask", "test", "-p", "host", "--", "--nocapture"]);
        assert!(
            matches!(parsed, Ok(Arguments { task: Task::Test { args } }) if args == ["-p", "host", "--", "--nocapture"])
        );
    }

    #[test]
    fn demo_passes_on_flags() {
        let parsed = Arguments::try_parse_from(["xtask", "demo", "--seed", "3"]);
        assert!(matches!(parsed, Ok(Arguments { task: Task::Demo { args } }) if args == ["--seed", "3"]));
    }

    #[test]
    fn bench_tells_its_python_from_what_it_passes_on() {
        let parsed = Arguments::try_parse_from(["xtask", "bench", "--python", "/p", "--steps", "2"]);
        assert!(matches!(parsed, Ok(Arguments { task: Task::Bench { python: Some(_), args, .. } }) if args.len() == 2));
    }
}
