//! What the end-to-end tests over the real binary and real shared libraries share; the tests lie in `tests/`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the built binaries and plugins.
pub fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned()
}

/// A built program, with `home` as the user's folder and the current one.
pub fn program(name: &str, home: &Path) -> Command {
    let program = built().join(name);
    assert!(program.is_file(), "{} is missing: build the workspace first (cargo xtask test does)", program.display());
    let mut command = Command::new(program);
    command.current_dir(home).env("XDG_DATA_HOME", home).env("OMP_WAIT_POLICY", "passive");
    command.env_remove("PRORL_PLUGIN_PATH").env_remove("PRORL_PLUGIN_TRUST_WRITABLE");
    command
}

/// The host, started in `home`.
pub fn host(home: &Path, arguments: &[&str]) -> Command {
    let mut command = program("prorl-host", home);
    command.args(arguments);
    command
}

/// What a program has printed.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed; what it printed.
pub fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}:\n{}", text(&output));
    text(&output)
}

/// An experiment of some seconds, for any policy.
pub const SMALL: &[&str] = &[
    "--preset=demo",
    "--set=data.world.users=200",
    "--set=data.world.items=80",
    "--set=data.world.interactions=30",
    "--set=reward_training.epochs=1",
    "--set=imitation.epochs=1",
    "--set=imitation.validation_prompts=8",
    "--set=rl.prompts=4",
    "--set=rl.group=4",
    "--set=rl.steps=2",
    "--set=rl.checkpoint_every=2",
    "--set=rl.validation_prompts=8",
    "--set=evaluation.prompts=16",
    "--set=evaluation.beams=5",
    "--set=evaluation.cutoffs=[1, 5]",
];

/// A small T5 for it.
pub const SMALL_POLICY: &[&str] = &["--set=policy.d_model=16", "--set=policy.d_ff=16", "--set=policy.layers=1"];

/// The arguments of the small experiment with a small T5, and `more`.
pub fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [SMALL, SMALL_POLICY, more].concat()
}

/// The folder of the one run in `home`.
pub fn only_run(home: &Path) -> PathBuf {
    let runs = home.join("runs/generated");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&runs)
        .unwrap_or_else(|error| panic!("{}: {error}", runs.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Metrics of reinforcement learning by step, without what depends on the clock.
pub fn learning_metrics(run: &Path) -> Vec<serde_json::Value> {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let event = |line: &str| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["time"].take();
        if let Some(values) = event["values"].as_object_mut() {
            values.retain(|name, _| !name.starts_with("time/"));
        }
        event
    };
    lines.lines().map(event).collect()
}
