//! What typed words mean.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::settings::{Assignment, Sources};
use clap::CommandFactory;

fn meaning(words: &str) -> Invocation {
    Typed::try_parse_from(words.split_whitespace()).unwrap().meaning(Vec::new())
}

#[test]
fn the_definition_is_sound() {
    Typed::command().debug_assert();
}

#[test]
fn run_is_the_default_and_the_demo_its_preset() {
    let bare = meaning("prorl-host");
    assert_eq!(bare.action, Action::Run);
    assert_eq!(bare.sources, Sources { preset: Some("demo".into()), ..Sources::default() });
    assert_eq!(meaning("prorl-host run"), bare);
    assert_eq!(meaning("prorl-host --data here").sources.preset, None);
    assert_eq!(meaning("prorl-host --set data.path=here").sources.preset, None);
    assert_eq!(meaning("prorl-host --config my.toml").sources.preset, None);
    assert_eq!(meaning("prorl-host --data here --preset ml-1m").sources.preset.as_deref(), Some("ml-1m"));
    let variables = vec![("PRORL__DATA__PATH".to_owned(), "here".to_owned())];
    assert_eq!(Typed::try_parse_from(["prorl-host"]).unwrap().meaning(variables).sources.preset, None);
}

#[test]
fn a_plugin_is_packed_where_the_user_says() {
    let library = std::path::PathBuf::from("lib.so");
    let out = Some("a.tar.gz".into());
    assert_eq!(meaning("prorl-host plugin pack lib.so --out a.tar.gz").action, Action::PluginPack { library, out });
}

#[test]
fn flags_become_settings_before_set() {
    let sources = meaning("prorl-host --set algo.gamma=0.9 --algo prorl --evaluator sasrec,gru4rec --seed 3").sources;
    let expected = [
        Assignment::flag("--algo", "algo.name", "prorl"),
        Assignment::flag("--evaluator", "evaluator.names", vec!["sasrec", "gru4rec"]),
        Assignment::flag("--seed", "seed", 3u64),
        "algo.gamma=0.9".parse().unwrap(),
    ];
    assert_eq!(sources.assignments, expected);
}

#[test]
fn flags_count_before_and_after_a_command() {
    let both = meaning("prorl-host --set seed=1 --algo a --plugin x -v rl --set seed=2 --algo b --plugin y");
    let expected = [Assignment::flag("--algo", "algo.name", "b"), "seed=1".parse().unwrap(), "seed=2".parse().unwrap()];
    assert_eq!(both.action, Action::Rl);
    assert_eq!(both.sources.assignments, expected);
    assert_eq!(both.plugins, [PathBuf::from("x"), PathBuf::from("y")]);
    assert_eq!(both.verbosity, Verbosity::Verbose);
}

fn new(path: Option<PathBuf>) -> Action {
    Action::PluginNew(crate::scaffold::Order { sort: Sort::Reward, name: "mine".into(), path, sdk: None })
}

#[test]
fn every_command_has_its_action() {
    let actions = [
        ("data stats", Action::DataStats),
        ("data generate --out w", Action::DataGenerate { out: "w".into() }),
        ("train-reward", Action::TrainReward),
        ("pretrain", Action::Pretrain),
        ("eval", Action::Eval { weights: PolicyWeights::Rl }),
        ("eval --policy-weights imitation", Action::Eval { weights: PolicyWeights::Imitation }),
        ("eval --policy-weights p.safetensors", Action::Eval { weights: PolicyWeights::File("p.safetensors".into()) }),
        ("plugin new reward mine", new(None)),
        ("plugin new reward mine --path here", new(Some("here".into()))),
        ("plugin check a.so", Action::PluginCheck { library: "a.so".into(), device: "cpu".into() }),
        ("plugin install a.so", Action::PluginInstall { library: "a.so".into() }),
        ("plugin list", Action::PluginList),
        ("plugin info prorl", Action::PluginInfo { name: "prorl".into() }),
        ("config show", Action::ConfigShow),
        ("version", Action::Version),
    ];
    for (words, action) in actions {
        assert_eq!(meaning(&format!("prorl-host {words}")).action, action);
    }
}

#[test]
fn a_resumed_run_takes_its_settings_from_its_folder() {
    let latest = meaning("prorl-host --resume");
    assert_eq!((latest.resume, latest.sources), (Some(Resume::Latest), Sources::default()));
    assert_eq!(meaning("prorl-host --resume runs/a").resume, Some(Resume::Folder("runs/a".into())));
}

#[test]
fn a_malformed_assignment_is_refused_when_typed() {
    let message = Typed::try_parse_from(["prorl-host", "--set", "rl.group"]).unwrap_err().to_string();
    assert!(message.contains("should be key=value"), "{message}");
}
