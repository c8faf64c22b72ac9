//! `bench` over the real binary: a killed comparison goes on, and its tables are those of one that was not.
#![allow(clippy::unwrap_used)]

use prorl_tests::{host, text};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const GRID: &str = r#"
title = "Two estimators"
preset = "demo"
seeds = [0, 1]
set = [
  "data.world.users=200", "data.world.items=80", "data.world.interactions=30", "reward_training.epochs=2",
  "imitation.epochs=1", "policy.d_model=16", "policy.d_ff=16", "policy.layers=1", "rl.prompts=4", "rl.group=4",
  "rl.steps=6", "rl.checkpoint_every=2", "rl.validation_prompts=8", "evaluation.prompts=16", "evaluation.beams=5",
  "evaluation.cutoffs=[1, 5]",
]
[[variant]]
name = "prorl"
[[variant]]
name = "reinforce"
set = ["algo.name=reinforce"]
"#;

fn bench(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = host(folder, &["bench"]);
    command.args(arguments);
    command
}

fn folder_with_grid(grid: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("grid.toml"), grid).unwrap();
    folder
}

fn tables(out: &Path) -> Vec<(PathBuf, String)> {
    let files = [
        "results.md",
        "results.tex",
        "results.csv",
        "results.json",
        "tests.md",
        "tests.csv",
        "further.md",
        "curves/ioi.svg",
        "curves/entropy.svg",
        "curves/relative_advantage_variance.svg",
    ];
    files.iter().map(|file| (PathBuf::from(file), std::fs::read_to_string(out.join(file)).unwrap())).collect()
}

#[test]
fn a_killed_comparison_goes_on_to_the_same_tables() {
    let whole = folder_with_grid(GRID);
    let output = bench(whole.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));

    let broken = folder_with_grid(GRID);
    let mut command = bench(broken.path(), &["--grid=grid.toml", "--out=out"]);
    let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (started, first) = (Instant::now(), broken.path().join("out/cells/prorl/seed-0/done"));
    while !first.exists() {
        assert!(started.elapsed() < Duration::from_secs(300), "the first cell never finished");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(700)); // into the second cell
    let killed = Command::new("kill").args(["-9", "--", &format!("-{}", child.id())]).status().unwrap();
    assert!(killed.success());
    child.wait().unwrap();
    assert!(!broken.path().join("out/results.md").exists(), "it was killed too late");

    let output = bench(broken.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    for ((name, one), (_, other)) in tables(&whole.path().join("out")).iter().zip(tables(&broken.path().join("out"))) {
        assert_eq!(*one, other, "{} differs", name.display());
    }
    let manifest = std::fs::read_to_string(broken.path().join("out/manifest.json")).unwrap();
    assert!(manifest.contains("data_hash") && manifest.contains("sha256"), "{manifest}");
}

#[test]
fn a_failed_cell_is_reported_and_the_others_are_compared() {
    let grid =
        GRID.replace("seeds = [0, 1]", "seeds = [0]").replace("algo.name=reinforce", "algo.name=rloo\", \"rl.group=1");
    let folder = folder_with_grid(&grid);
    let output = bench(folder.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(shown.contains("failed: reinforce, seed 0") && shown.contains("rl.group"), "{shown}");
    assert!(shown.contains("| prorl |"), "{shown}");
}

#[test]
fn policies_of_several_reward_models_are_judged_by_all_evaluators() {
    let grid = GRID.replace("seeds = [0, 1]", "seeds = [0]\nfigures = [\"truth/success@5\"]").replace(
        "name = \"reinforce\"\nset = [\"algo.name=reinforce\"]",
        "name = \"gru\"\nset = [\"reward.name=gru4rec\"]",
    );
    let folder = folder_with_grid(&grid);
    let output = bench(folder.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let read = |file: &str| std::fs::read_to_string(folder.path().join("out").join(file)).unwrap();
    let results = read("results.csv");
    for row in ["imitation", "imitation best-of-5", "imitation-gru4rec best-of-5", "prorl", "gru"] {
        for judge in ["sasrec", "gru4rec", "truth"] {
            let cell = format!("{row},{judge}/ioi@5,");
            assert!(results.lines().any(|line| line.starts_with(&cell)), "{cell} is missing: {results}");
        }
    }
    assert!(results.contains("prorl,truth/success@5,") && read("tests.csv").contains("gru,truth/success@5,"));
    assert!(read("further.csv").contains("gru,gini,"));
    // The judges are the same whichever of them was the reward model.
    let weights = |variant: &str| {
        let run = folder.path().join(format!("out/cells/{variant}/seed-0/settings.toml"));
        let settings: toml::Table = std::fs::read_to_string(run).unwrap().parse().unwrap();
        let own = if variant == "prorl" { &settings["reward"] } else { &settings["evaluator"]["sasrec"] };
        own["hidden_dropout"].as_float()
    };
    assert_eq!((weights("prorl"), weights("gru")), (Some(0.2), Some(0.2)));
}

#[test]
fn a_wrong_setting_is_named_before_anything_runs() {
    let folder = folder_with_grid(&GRID.replace("algo.name=reinforce", "algo.gama=1"));
    let output = bench(folder.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(!output.status.success());
    let shown = text(&output);
    assert!(shown.contains("variant `reinforce`") && shown.contains("algo.gamma"), "{shown}");
    assert!(!folder.path().join("out").exists());
}

/// Baselines beside what learns: `policy.name` is set by a variant, and the grid's parameters of T5 are not theirs.
#[test]
fn policies_that_no_algorithm_trains_are_rows_of_their_own() {
    let grid = GRID
        .replace("seeds = [0, 1]", "seeds = [0]")
        .replace("\"policy.d_model", "\"policy.name=t5\", \"policy.d_model");
    let grid = grid.replace("name = \"reinforce\"\nset = [\"algo.name=reinforce\"]", BASELINES);
    let folder = folder_with_grid(&grid);
    let output = bench(folder.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(!shown.contains("failed:"), "{shown}");
    let table = std::fs::read_to_string(folder.path().join("out/results.md")).unwrap();
    let rows: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()).skip(2).collect();
    let names = ["imitation", "prorl", "popular", "short-random", "greedy-gru4rec"];
    let expected: Vec<String> = names.iter().flat_map(|it| [it.to_string(), format!("{it} best-of-5")]).collect();
    assert_eq!(rows, expected, "{table}");
    let tests = std::fs::read_to_string(folder.path().join("out/tests.md")).unwrap();
    assert!(tests.contains("| popular |") && tests.contains("| greedy-gru4rec |"), "{tests}");
}

const BASELINES: &str = r#"name = "popular"
set = ["policy.name=popular"]
[[variant]]
name = "short-random"
set = ["policy.name=random", "policy.length=2"]
[[variant]]
name = "greedy-gru4rec"
set = ["policy.name=greedy-to-target", "policy.model=gru4rec", "policy.gru4rec.hidden=16", "policy.top_k=5"]"#;

#[test]
fn seeds_of_the_rl_stage_alone_share_what_comes_before_it() {
    let grid = GRID
        .replace("seeds = [0, 1]", "seeds = [0, 1]\nseeds_decide = \"rl\"")
        .replace("rl.steps=6", "rl.steps=6\", \"rl.learning_rate=0.02");
    let grid = &grid[..grid.rfind("[[variant]]").unwrap()];
    let folder = folder_with_grid(grid);
    let output = bench(folder.path(), &["--grid=grid.toml", "--out=out"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let results = std::fs::read_to_string(folder.path().join("out/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let deviation = |name: &str| {
        let row = results["rows"].as_array().unwrap().iter().find(|row| row["policy"] == name).unwrap();
        row["figures"]["sasrec/ioi@5"]["deviation"].as_f64().unwrap()
    };
    assert_eq!(deviation("imitation"), 0.0);
    assert!(deviation("prorl") > 0.0);
}
