//! One run by several processes over Gloo: the same result, every prompt once, and an end that names what failed.
#![allow(clippy::unwrap_used)]

use prorl_tests::{done, host, learning_metrics, only_run, small, text};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tch::Tensor;

/// A batch of RL is two prompts a block, and the evaluation's last batches are uneven for 2 and for 4 processes.
const CUT: &[&str] =
    &["--set=processes.blocks=4", "--set=rl.prompts=8", "--set=evaluation.prompts=19", "--set=evaluation.batch=4"];

fn cut<'a>(more: &[&'a str]) -> Vec<&'a str> {
    small(&[CUT, more].concat())
}

fn losses(run: &Path) -> Vec<f64> {
    learning_metrics(run).iter().filter_map(|event| event["values"]["train/loss"].as_f64()).collect()
}

/// Parameters of the policy in the run's last checkpoint, before step `step`.
fn parameters(run: &Path, step: usize) -> Vec<(String, Tensor)> {
    let file = run.join(format!("checkpoints/step-{step:08}/model.safetensors"));
    let mut read = Tensor::read_safetensors(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    read.sort_by(|one, other| one.0.cmp(&other.0));
    read
}

fn table(run: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(run.join("tables/results.json")).unwrap()).unwrap()
}

fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found}, but {expected} alone");
}

/// Asserts that two runs of `steps` steps have learned and found the same, up to the order of sums.
fn assert_same(run: &Path, alone: &Path, steps: usize) {
    let (own, expected) = (losses(run), losses(alone));
    assert_eq!((own.len(), expected.len()), (steps, steps));
    for (step, (own, expected)) in own.iter().zip(&expected).enumerate() {
        assert_near(*own, *expected, 1e-4, &format!("loss of step {step}"));
    }
    for ((name, own), (_, expected)) in parameters(run, steps).iter().zip(parameters(alone, steps)) {
        let apart = (own - expected).abs().max().double_value(&[]);
        assert!(apart < 1e-4, "{name} is {apart} away");
    }
}

#[test]
fn one_two_and_four_processes_give_the_same() {
    let homes = [1, 2, 4].map(|processes| {
        let home = tempfile::tempdir().unwrap();
        let processes = processes.to_string();
        let said = done(&mut host(home.path(), &cut(&["--nproc", &processes, "--set=rl.steps=20"])));
        assert_eq!(said.matches("paired over prompts").count(), 1, "process 0 alone prints: {said}");
        home
    });
    let [alone, two, four] = homes.each_ref().map(|home| only_run(home.path()));
    for run in [&two, &four] {
        assert_same(run, &alone, 20);
        let per_prompt = |run: &Path| std::fs::read_to_string(run.join("tables/per_prompt.csv")).unwrap();
        assert_eq!(per_prompt(run).lines().count(), per_prompt(&alone).lines().count());
        let (own, expected) = (table(run), table(&alone));
        let rows = expected["rows"].as_array().unwrap();
        assert!(rows.len() >= 2);
        for (row, values) in rows.iter().enumerate() {
            for (name, value) in values["values"].as_object().unwrap() {
                if let Some(value) = value.as_f64() {
                    let found = own["rows"][row]["values"][name].as_f64().unwrap();
                    assert_near(found, value, 1e-3, name);
                }
            }
        }
    }
}

#[test]
fn algorithms_that_share_more_than_gradients_give_the_same() {
    // PPO: minibatches, whitened advantages, a value head on the policy's states, an early end.
    let chosen = ["--algo=ppo", "--set=rl.steps=4", "--set=algo.minibatches=2", "--set=rl.checkpoint_every=4"];
    let homes = ["1", "2"].map(|processes| {
        let home = tempfile::tempdir().unwrap();
        done(&mut host(home.path(), &[&["rl", "--nproc", processes], &cut(&chosen)[..]].concat()));
        home
    });
    let [alone, two] = homes.each_ref().map(|home| only_run(home.path()));
    assert_same(&two, &alone, 4);
}

#[test]
fn a_gradient_in_parts_is_that_of_the_whole_batch() {
    // The same reward model and imitation policy, from the cache; then 8 prompts at once, and 3 at a time.
    for algorithm in ["--algo=prorl", "--algo=ppo"] {
        let home = tempfile::tempdir().unwrap();
        let learn = |more: &[&str]| {
            let plan = [algorithm, "--set=rl.prompts=8", "--set=rl.steps=4", "--set=rl.checkpoint_every=4"];
            done(&mut host(home.path(), &[&["rl"], &small(&plan)[..], more].concat()))
        };
        learn(&["--runs=whole"]);
        let said = learn(&["--runs=parts", "--micro-batch=3"]);
        assert!(said.matches("reusing").count() >= 3, "{said}");
        let run = |runs: &str| home.path().join(runs).join("generated/latest");
        assert_same(&run("parts"), &run("whole"), 4);
    }
}

/// Processes that a launcher has started.
fn members(launcher: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap_or_default();
    listed.split_whitespace().map(|it| it.parse().unwrap()).collect()
}

fn rank_of(member: u32) -> Option<String> {
    let variables = std::fs::read(format!("/proc/{member}/environ")).ok()?;
    let variables = String::from_utf8_lossy(&variables).into_owned();
    variables.split('\0').find_map(|it| it.strip_prefix("RANK=")).map(str::to_owned)
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

/// Waits until the run in `home` has written a checkpoint.
fn wait_for_checkpoint(home: &Path, launcher: &mut Child) {
    let started = Instant::now();
    let there = || {
        let runs = std::fs::read_dir(home.join("runs/generated")).into_iter().flatten().flatten();
        runs.filter_map(|run| std::fs::read_dir(run.path().join("checkpoints")).ok())
            .any(|names| names.flatten().any(|name| name.file_name().to_string_lossy().starts_with("step-")))
    };
    while !there() {
        assert!(launcher.try_wait().unwrap().is_none(), "the run has ended");
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_process_ends_the_others_and_the_rest_is_learned_by_more() {
    let (home, straight) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plan = ["--set=rl.steps=40", "--set=rl.keep_checkpoints=100"];
    let arguments = [&["rl", "--nproc", "2"], &cut(&plan)[..]].concat();
    let mut launcher = host(home.path(), &arguments);
    let mut launcher = launcher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_checkpoint(home.path(), &mut launcher);
    let victim = members(launcher.id()).into_iter().find(|&member| rank_of(member).as_deref() == Some("1")).unwrap();
    let killed = Instant::now();
    signal("-9", victim);
    let output = launcher.wait_with_output().unwrap();
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    let said = text(&output);
    assert_eq!(output.status.code(), Some(137), "{said}");
    assert!(said.contains("process 1 of 2 was killed by signal 9; the others were ended"), "{said}");
    assert!(said.contains("[0]") && said.contains("process 1 is gone") && said.contains("the collective `"), "{said}");
    // Four go on where two stopped, and come to what one alone comes to.
    let rest = done(&mut host(home.path(), &["rl", "--resume", "--nproc", "4"]));
    assert!(rest.contains("resum"), "{rest}");
    done(&mut host(straight.path(), &[&["rl"], &cut(&plan)[..]].concat()));
    assert_same(&only_run(home.path()), &only_run(straight.path()), 40);
}

#[test]
fn a_process_that_hangs_is_named() {
    let home = tempfile::tempdir().unwrap();
    let plan = ["--set=rl.steps=4000", "--set=processes.timeout=5"];
    let mut launcher = host(home.path(), &[&["rl", "--nproc", "2"], &cut(&plan)[..]].concat());
    let mut launcher = launcher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_checkpoint(home.path(), &mut launcher);
    let ranked = |rank: &str| members(launcher.id()).into_iter().find(|&it| rank_of(it).as_deref() == Some(rank));
    let hung = ranked("1").unwrap();
    signal("-STOP", hung);
    let stopped = Instant::now();
    let output = launcher.wait_with_output().unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(40), "{:?}", stopped.elapsed());
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("process 1 is gone") && said.contains("process 0 of 2"),
        "{said}"
    );
}

#[test]
fn an_interrupt_ends_all() {
    let home = tempfile::tempdir().unwrap();
    let mut launcher = host(home.path(), &[&["rl", "--nproc", "2"], &cut(&["--set=rl.steps=4000"])[..]].concat());
    let mut launcher = launcher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_checkpoint(home.path(), &mut launcher);
    let started = members(launcher.id());
    assert_eq!(started.len(), 2);
    signal("-INT", launcher.id());
    assert!(!launcher.wait().unwrap().success());
    for member in started {
        assert!(!Path::new(&format!("/proc/{member}")).exists(), "process {member} still runs");
    }
}

/// A Python with torch, whose torchrun starts the host: PRORL_PYTHON, or `python3`.
fn torchrun() -> Option<Command> {
    let python = std::env::var("PRORL_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import torch.distributed.run"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: `{python}` has no torch; name one that has by PRORL_PYTHON");
        return None;
    }
    let mut command = Command::new(python);
    command.args(["-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python", "--max-restarts", "1"]);
    Some(command)
}

#[test]
fn torchrun_starts_the_host_and_starts_it_again() {
    let Some(mut command) = torchrun() else { return };
    let (home, straight) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plan = cut(&["--set=rl.steps=40", "--set=rl.keep_checkpoints=100"]);
    let plain = host(home.path(), &[]);
    command.current_dir(home.path()).arg(plain.get_program()).arg("rl").args(&plan);
    command.env("XDG_DATA_HOME", home.path()).env("OMP_NUM_THREADS", "1").env("OMP_WAIT_POLICY", "passive");
    let mut launcher = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_checkpoint(home.path(), &mut launcher);
    let victim = members(launcher.id()).into_iter().find(|&member| rank_of(member).as_deref() == Some("1")).unwrap();
    signal("-9", victim);
    let output = launcher.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    done(&mut host(straight.path(), &[&["rl"], &plan[..]].concat()));
    assert_same(&only_run(home.path()), &only_run(straight.path()), 40); // one folder: the second attempt took up the first
}

#[test]
fn mistakes_are_answered_before_anything_starts() {
    let home = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], variables: &[(&str, &str)], sentence: &str| {
        let output = host(home.path(), arguments).envs(variables.iter().copied()).output().unwrap();
        let said = text(&output);
        assert!(said.contains(sentence), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
    };
    let place = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1")];
    refused(&["plugin", "list", "--nproc", "2"], &[], "--nproc");
    refused(&["bench", "--algos=prorl", "--nproc=2"], &[], "--nproc");
    refused(&small(&["--nproc=2"]), &place, "started as one of 2");
    refused(&small(&["--nproc=2", "--set=processes.blocks=3"]), &[], "share out only a multiple of 2 blocks");
}
