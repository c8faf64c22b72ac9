//! The real binary over real plugins: what a user types and sees.
#![allow(clippy::unwrap_used)]

use prorl_tests::{SMALL, host, learning_metrics, only_run, small, text};
use std::path::Path;
use std::process::Output;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    host(folder, arguments).output().unwrap()
}

#[test]
fn a_whole_run_leaves_tables_metrics_checkpoints_and_provenance() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &small(&["--set=rl.steps=4"]));
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(shown.contains("imitation") && shown.contains("prorl") && shown.contains("paired"), "{shown}");
    let run_folder = only_run(folder.path());
    for file in [
        "settings.toml",
        "origins.txt",
        "manifest.json",
        "metrics.jsonl",
        "tables/results.md",
        "tables/results.csv",
        "tables/results.json",
        "tables/further.md",
        "tables/lengths.csv",
        "tables/per_prompt.csv",
    ] {
        assert!(run_folder.join(file).is_file(), "{file} is missing");
    }
    let results: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run_folder.join("tables/results.json")).unwrap()).unwrap();
    assert!(results.to_string().contains("prorl"), "{results}");
    assert!(results["rows"][0]["values"]["truth IoI"].is_number(), "{results}");
    let further = std::fs::read_to_string(run_folder.join("tables/further.csv")).unwrap();
    for name in ["sasrec success@5", "gru4rec IoR filtered", "truth log-perplexity", "Gini"] {
        assert!(further.lines().next().unwrap().contains(name), "{name} is missing: {further}");
    }
    assert!(learning_metrics(&run_folder)[0]["values"]["policy/entropy"].as_f64().unwrap() > 0.0);
    let widest = shown.lines().filter(|line| line.contains("IoI")).map(|line| line.chars().count()).max();
    assert!(widest.unwrap() <= 100, "{shown}");
    assert_eq!(
        learning_metrics(&run_folder).iter().filter(|event| event["values"]["train/loss"].is_number()).count(),
        4
    );
    // A second run takes everything before reinforcement learning from the cache.
    let again = run(folder.path(), &small(&["--set=rl.steps=2", "--algo=reinforce"]));
    assert!(again.status.success(), "{}", text(&again));
    assert!(text(&again).matches("reusing").count() >= 4, "{}", text(&again));
}

#[test]
fn a_resumed_run_learns_as_if_never_stopped() {
    let (straight, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = run(straight.path(), &small(&["--set=rl.steps=4"]));
    assert!(whole.status.success(), "{}", text(&whole));
    // Half of the steps, with the schedule of all of them, then the rest.
    let half = run(
        stopped.path(),
        &[&["rl"], &small(&["--set=rl.steps=2", "--set=rl.warmup=0", "--set=rl.schedule=constant"])[..]].concat(),
    );
    assert!(half.status.success(), "{}", text(&half));
    let rest = run(stopped.path(), &["rl", "--resume", "--set=rl.steps=4"]);
    assert!(rest.status.success(), "{}", text(&rest));
    let unbroken = run(
        straight.path(),
        &[
            &["rl"],
            &small(&["--set=rl.steps=4", "--set=rl.warmup=0", "--set=rl.schedule=constant", "--runs=other"])[..],
        ]
        .concat(),
    );
    assert!(unbroken.status.success(), "{}", text(&unbroken));
    let other = straight.path().join("other/generated/latest");
    let losses = |run: &Path| -> Vec<String> {
        let events = learning_metrics(run);
        events.iter().filter(|it| it["values"]["train/loss"].is_number()).map(|it| it["values"].to_string()).collect()
    };
    let (expected, resumed) = (losses(&other), losses(&only_run(stopped.path())));
    assert_eq!(expected.len(), 4);
    assert_eq!(resumed, expected);
}

/// Labels of a run's table.
fn labels(run: &Path) -> Vec<String> {
    let table = std::fs::read_to_string(run.join("tables/all_figures.csv")).unwrap();
    table.lines().next().unwrap().split(',').skip(1).map(str::to_owned).collect()
}

#[test]
fn a_policy_that_does_not_learn_is_judged_alone_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[SMALL, &["--policy=popular"]].concat());
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(shown.contains("popular") && shown.contains("has nothing to learn"), "{shown}");
    assert!(!shown.contains("paired") && !shown.contains("reinforcement"), "{shown}");
    let run_folder = only_run(folder.path());
    assert_eq!(labels(&run_folder), ["popular", "popular best-of-5"]);
    for file in ["manifest.json", "metrics.jsonl", "tables/results.json", "tables/per_prompt.csv"] {
        assert!(run_folder.join(file).is_file(), "{file} is missing");
    }
    let untrainable = run(folder.path(), &[&["rl"], SMALL, &["--policy=popular"]].concat());
    assert_eq!(untrainable.status.code(), Some(2), "{}", text(&untrainable));
    assert!(
        text(&untrainable).contains("`policy.name` is \"popular\" (command line --policy)"),
        "{}",
        text(&untrainable)
    );
    only_run(folder.path());
}

#[test]
fn a_policy_that_imitation_alone_can_train_is_trained_selected_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    for (policy, select) in [("greedy-to-target", "ioi_max@10"), ("ipg", "loss"), ("irn", "ioi_max@10")] {
        let (policy_flag, select) = (format!("--policy={policy}"), format!("--set=imitation.select={select}"));
        let runs = format!("--runs=runs-{policy}");
        let output = run(folder.path(), &[SMALL, &[&policy_flag, &select, &runs]].concat());
        assert!(output.status.success(), "{policy}: {}", text(&output));
        let latest = folder.path().join(format!("runs-{policy}/generated/latest"));
        assert_eq!(labels(&latest), [policy.to_owned(), format!("{policy} best-of-5")]);
        let again = run(folder.path(), &[&["eval"], SMALL, &[&policy_flag, &select, &runs]].concat());
        assert!(again.status.success(), "{policy}: {}", text(&again));
        assert!(text(&again).contains("imitation: reusing"), "{policy}: {}", text(&again));
    }
}

#[test]
fn mistakes_are_named_with_the_nearest_right_word() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, wanted) in [
        (vec!["--set", "rl.learnin_rate=1"], "rl.learning_rate"),
        (vec!["--set", "algo.gama=0.9"], "algo.gamma"),
        (vec!["--algo", "prorel"], "prorl"),
        (vec!["--reward", "sasrek"], "sasrec"),
        (vec!["--preset", "ml-1n"], "ml-1m"),
        (vec!["--set", "rl.group=many"], "rl.group"),
        (vec!["--set", "algo.gamma=2"], "gamma"),
        (vec!["--data", "/nowhere"], "/nowhere"),
        (vec!["plugin", "info", "sasrek"], "sasrec"),
    ] {
        let output = run(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(wanted), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn every_preset_fits_the_real_plugins() {
    let folder = tempfile::tempdir().unwrap();
    for preset in ["demo", "ml-1m", "steam", "books"] {
        let output = run(folder.path(), &["config", "show", "--preset", preset]);
        assert!(output.status.success(), "{preset}: {}", text(&output));
        assert!(text(&output).contains(&format!("preset {preset}")), "{}", text(&output));
    }
    let variable = host(folder.path(), &["config", "show"]).env("PRORL__RL__GROUP", "7").output().unwrap();
    assert!(text(&variable).contains("PRORL__RL__GROUP"), "{}", text(&variable));
}

#[test]
fn plugins_are_listed_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let list = text(&run(folder.path(), &["plugin", "list"]));
    for name in [
        "sem-ids",
        "rq-kmeans",
        "t5",
        "random",
        "popular",
        "greedy-to-target",
        "ipg",
        "irn",
        "sasrec",
        "gru4rec",
        "prorl",
        "reinforce",
    ] {
        assert!(list.contains(name), "{list}");
    }
    let info = text(&run(folder.path(), &["plugin", "info", "prorl"]));
    assert!(info.contains("gamma") && info.contains("SHA-256") && info.contains("min_std"), "{info}");
}

#[test]
fn generated_data_can_be_written_read_back_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let written = run(folder.path(), &["data", "generate", "--out", "world", "--set", "data.world.users=100"]);
    assert!(written.status.success(), "{}", text(&written));
    let stats = run(folder.path(), &["data", "stats", "--data", "world"]);
    assert!(stats.status.success(), "{}", text(&stats));
    // Only the world's own note tells that its users are known.
    std::fs::remove_file(folder.path().join("world/generated.world.json")).unwrap();
    let unknown = run(folder.path(), &["--preset", "demo", "--data", "world"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    assert!(text(&unknown).contains("generated data only"), "{}", text(&unknown));
    let file = std::fs::read_dir(folder.path().join("world")).unwrap().map(|entry| entry.unwrap().path());
    let interactions = file.into_iter().find(|path| path.extension().is_some_and(|it| it == "inter")).unwrap();
    let broken = std::fs::read_to_string(&interactions).unwrap().replacen('\n', "\nonly-one-column\n", 1);
    std::fs::write(&interactions, broken).unwrap();
    let refused = run(folder.path(), &["data", "stats", "--data", "world"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains(".inter") && text(&refused).contains('2'), "{}", text(&refused));
}
