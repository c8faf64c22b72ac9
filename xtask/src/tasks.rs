//! The tasks themselves: each reads as the list of commands that it runs.

use crate::command::run;
use crate::setup::{self, Libtorch};
use crate::workspace::{WAITING, WithLibtorch, Workspace};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::Path;

/// Makes libtorch available and says where it is.
pub fn setup(workspace: &Workspace) -> Result<()> {
    let libtorch = setup::libtorch(workspace)?;
    println!("libtorch {} is ready: {}", crate::libtorch::VERSION, libtorch.root.display());
    Ok(())
}

/// The main job on generated data.
pub fn demo(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    let libtorch = setup::libtorch(workspace)?;
    build(workspace, &libtorch)?;
    run(workspace.binary("prorl-host").args(["run", "--preset", "demo"]).args(args).with(&libtorch)?)
}

/// Every test of the workspace, or of the packages named with `-p`.
pub fn test(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    let libtorch = setup::libtorch(workspace)?;
    build(workspace, &libtorch)?;
    let mut tests = workspace.cargo(["test", "--release"]);
    if !names_packages(args) {
        tests.arg("--workspace");
    }
    run(tests.args(args).with(&libtorch)?)
}

/// Formatting, then clippy.
pub fn check(workspace: &Workspace) -> Result<()> {
    require(workspace, "fmt")?;
    require(workspace, "clippy")?;
    run(&mut workspace.cargo(["fmt", "--all", "--", "--check"])).context("`cargo fmt --all` would change files")?;
    let libtorch = setup::libtorch(workspace)?;
    let mut clippy = workspace.cargo(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    run(clippy.with(&libtorch)?)
}

/// Says how to get one of cargo's tools where a toolchain comes without.
fn require(workspace: &Workspace, tool: &str) -> Result<()> {
    let output = workspace.cargo([tool, "--version"]).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo {tool} is not installed: rustup component add rustfmt clippy");
    }
    Ok(())
}

/// What has to hold before a merge.
pub fn ci(workspace: &Workspace) -> Result<()> {
    check(workspace)?;
    test(workspace, &[])
}

/// Where figures of the benchmarks are kept.
const HISTORY: &str = "benchmarks/history.jsonl";

/// The benchmarks: `prorl-bench` with `--python` and the arguments as they came. Figures of all tasks are kept, unless
/// the arguments ask for something else than those.
pub fn bench(workspace: &Workspace, python: Option<&Path>, args: &[OsString]) -> Result<()> {
    let libtorch = setup::libtorch(workspace)?;
    build(workspace, &libtorch)?;
    let mut bench = workspace.bench();
    if let Some(python) = python {
        bench.arg("--python").arg(python);
    }
    let other = ["--growth", "--boundary", "--log", "--history", "--only", "--help"];
    if !args.iter().any(|arg| other.iter().any(|it| arg.to_string_lossy().starts_with(it))) {
        bench.args(["--history", HISTORY]);
    }
    run(bench.args(args).with(&libtorch)?)
}

/// The hot kernels alone, by criterion.
pub fn kernels(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    let libtorch = setup::libtorch(workspace)?;
    let mut bench = workspace.cargo(["bench"]);
    for (package, name) in [
        ("prorl-seqrec", "scores"),
        ("prorl-plugin-t5", "policy"),
        ("prorl-kernels", "attention"),
        ("prorl-kernels", "dropout"),
        ("prorl-kernels", "layers"),
    ] {
        bench.args(["-p", package, "--bench", name]);
    }
    bench.arg("--");
    bench.env(WAITING, "active");
    run(bench.args(args).with(&libtorch)?)
}

/// Builds the binaries and, beside them, the plugins that the host opens.
fn build(workspace: &Workspace, libtorch: &Libtorch) -> Result<()> {
    run(workspace.cargo(["build", "--release", "--workspace"]).with(libtorch)?)
}

/// Whether cargo's part of the arguments chooses packages.
fn names_packages(args: &[OsString]) -> bool {
    let mut cargos = args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--");
    cargos.any(|arg| arg.starts_with("--package") || (arg.starts_with("-p") && !arg.starts_with("--")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_seen_in_cargos_part_only() {
        let names = |args: &[&str]| names_packages(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(names(&["-p", "prorl-abi"]));
        assert!(names(&["loss", "--package=prorl-abi"]));
        assert!(!names(&["loss", "--", "-p"]));
        assert!(!names(&[]));
    }
}
