//! Layering, origins and messages, against components made up here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::settings::schema::LearningRateShape;
use prorl_sdk::export::description::Kind;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Discounted {
    gamma: f64,
    kl: Kl,
    weights: Weights,
    label: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kl {
    /// The published one.
    K1,
    /// Over the whole vocabulary.
    Exact,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Weights {
    ctr: f64,
    ioi: f64,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Layered {
    layers: i64,
}

impl Default for Discounted {
    fn default() -> Self {
        Self { gamma: 1.0, kl: Kl::K1, weights: Weights { ioi: 2.0, ..Weights::default() }, label: None }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self { ctr: 1.0, ioi: 1.0 }
    }
}

/// A handful of components with schemas as plugins make them.
struct Loaded;

impl KnownComponents for Loaded {
    fn parameter_schema(&self, kind: Kind, name: &str) -> Option<Value> {
        self.names(kind).iter().any(|known| known == name).then(|| match name {
            "prorl" => schema_for!(Discounted).to_value(),
            _ => schema_for!(Layered).to_value(),
        })
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        let names: &[&str] = match kind {
            Kind::Tokenizer => &["rq-kmeans", "sem-ids"],
            Kind::Policy => &["t5"],
            Kind::RewardModel => &["gru4rec", "sasrec"],
            Kind::Algorithm => &["prorl", "reinforce"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn set(texts: &[&str]) -> Sources {
    Sources { assignments: texts.iter().map(|text| text.parse().unwrap()).collect(), ..Sources::default() }
}

fn variable(name: &str, value: &str) -> Sources {
    Sources { environment: vec![(name.into(), value.into())], ..Sources::default() }
}

fn failure(sources: &Sources) -> String {
    resolve(sources, &Loaded).unwrap_err().to_string()
}

#[test]
fn without_sources_everything_is_a_default() {
    let resolved = resolve(&Sources::default(), &Loaded).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    assert!(resolved.origins.iter().all(|(_, origin)| *origin == Origin::Default));
}

#[test]
fn each_layer_is_over_the_one_before_and_origins_tell() {
    let (_folder, preset) = file("seed = 1\n[rl]\nepochs = 1\ngroup = 2\n[algo]\nname = \"prorl\"\ngamma = 0.5\n");
    let (_folder, path) = file("[rl]\nepochs = 2\ngroup = 3\n[algo]\nweights = { ctr = 0.1 }");
    let preset = preset.display().to_string();
    let sources = Sources {
        preset: Some(preset.clone()),
        files: vec![path.clone()],
        environment: vec![("PRORL__RL__EPOCHS".into(), "4".into()), ("PRORL_CACHE".into(), "x".into())],
        grid: Vec::new(),
        assignments: vec![Assignment::flag("--seed", "seed", 7), "seed=8".parse().unwrap()],
    };
    let Resolved { settings, origins, .. } = resolve(&sources, &Loaded).unwrap();
    assert_eq!((settings.seed, settings.rl.epochs, settings.rl.group, settings.rl.prompts), (8, 4, 3, 128));
    assert_eq!(settings.algo.json(), json!({ "gamma": 0.5, "weights": { "ctr": 0.1 } }));
    assert_eq!(origins.of("seed"), Origin::CommandLine("--set".into()));
    assert_eq!(origins.of("rl.epochs"), Origin::Environment("PRORL__RL__EPOCHS".into()));
    assert_eq!(origins.of("rl.group"), Origin::File { path: path.clone(), line: 3 });
    assert_eq!(origins.of("algo.gamma"), Origin::Preset { name: preset, line: 7 });
    assert_eq!(origins.of("algo.weights.ctr"), Origin::File { path, line: 5 });
    assert_eq!(origins.of("rl.prompts"), Origin::Default);
}

#[test]
fn an_unknown_key_is_named_with_its_layer_and_the_nearest_one() {
    let (_folder, path) = file("[rl]\n\nlearning_rat = 1e-4\n");
    let message = failure(&Sources { files: vec![path.clone()], ..Sources::default() });
    let place = path.display();
    assert_eq!(
        message,
        format!("there is no setting `rl.learning_rat` (file {place}:3); did you mean `rl.learning_rate`?")
    );
    let message = failure(&Sources { preset: Some(path.display().to_string()), ..Sources::default() });
    assert!(message.contains("(preset ") && message.contains("my.toml:3)"), "{message}");
    let message = failure(&variable("PRORL__RL__GROUPS", "3"));
    assert_eq!(message, "there is no setting `rl.groups` (environment PRORL__RL__GROUPS); did you mean `rl.group`?");
    let message = failure(&set(&["algo.gama=0.9"]));
    assert_eq!(message, "there is no setting `algo.gama` (command line --set); did you mean `algo.gamma`?");
    let message = failure(&set(&["algo.weights.ctrr=0.9"]));
    assert!(message.ends_with("did you mean `algo.weights.ctr`?"), "{message}");
    let message = failure(&set(&["evaluator.gru4rek.layers=2"]));
    assert!(message.ends_with("did you mean `evaluator.gru4rec.layers`?"), "{message}");
    let message = failure(&set(&["seed.x=3"]));
    assert!(message.starts_with("there is no setting `seed.x`"), "{message}");
}

#[test]
fn an_unknown_component_or_preset_is_named_with_the_nearest_one() {
    let sources = Sources { assignments: vec![Assignment::flag("--algo", "algo.name", "prolr")], ..Sources::default() };
    assert_eq!(
        failure(&sources),
        "there is no algorithm `prolr` (`algo.name`, command line --algo); did you mean `prorl`?"
    );
    let message = failure(&set(&["evaluator.names=sasrec,gru5rec"]));
    assert!(message.ends_with("did you mean `gru4rec`?"), "{message}");
    let message = failure(&Sources { preset: Some("ml1m".into()), ..Sources::default() });
    assert_eq!(message, "there is no preset `ml1m`; did you mean `ml-1m`?");
}

#[test]
fn a_wrong_type_range_or_choice_says_what_would_be_right() {
    assert_eq!(
        failure(&set(&["rl.group=many"])),
        "`rl.group` is \"many\" (command line --set), but should be an integer"
    );
    assert_eq!(
        failure(&variable("PRORL__RL__TOP_P", "1.5")),
        "`rl.top_p` is 1.5 (environment PRORL__RL__TOP_P), but should be above 0.0 and at most 1.0"
    );
    assert_eq!(
        failure(&set(&["imitation.schedule=cosin"])),
        "`imitation.schedule` is \"cosin\" (command line --set), but should be one of \"cosine\", \"constant\"; \
         did you mean \"cosine\"?"
    );
    assert_eq!(
        failure(&set(&["algo.kl=k2"])),
        "`algo.kl` is \"k2\" (command line --set), but should be one of \"k1\", \"exact\""
    );
    assert_eq!(
        failure(&set(&["evaluation.cutoffs=[1, 0]"])),
        "`evaluation.cutoffs` is [1,0] (command line --set), but should be a list whose items are at least 1"
    );
    assert_eq!(failure(&set(&["rl=3"])), "`rl` is 3 (command line --set), but should be a table");
    assert!(failure(&set(&["device=gpu"])).ends_with("should be one of \"auto\", \"cpu\", \"cuda\", \"cuda:N\""));
    assert!(failure(&set(&["evaluation.beams=5"])).starts_with("`evaluation.cutoffs` is [1,5,10] (default): only 5"));
    assert!(failure(&set(&["algo.label=[1]"])).ends_with("but should be a text"));
    assert!(failure(&set(&["seed=-1"])).contains("should be at least 0"));
    assert!(failure(&set(&["rl.learning_rate=nan"])).ends_with("but should be a number"));
}

#[test]
fn texts_take_the_type_of_their_setting() {
    let sources = Sources {
        environment: vec![
            ("PRORL__SEED".into(), "3".into()),
            ("PRORL__DATA__PATH".into(), "123".into()),
            ("PRORL__RL__LEARNING_RATE".into(), "1e-3".into()),
            ("PRORL__EVALUATION__CUTOFFS".into(), "[1, 10]".into()),
            ("PRORL__EVALUATOR__NAMES".into(), "gru4rec".into()),
            ("PRORL__RUNS".into(), String::new()),
        ],
        ..set(&["imitation.schedule=constant", "algo={kl=\"exact\", label=\"7\"}", "algo.name=\"prorl\"", "cache=true"])
    };
    let settings = resolve(&sources, &Loaded).unwrap().settings;
    assert_eq!((settings.seed, settings.data.path.as_str(), settings.rl.learning_rate), (3, "123", 1e-3));
    assert_eq!(settings.evaluation.cutoffs, [1, 10]);
    assert_eq!(settings.evaluator.names, ["gru4rec"]);
    assert_eq!((settings.runs, settings.cache), (PathBuf::from("runs"), PathBuf::from("true")));
    assert_eq!(settings.imitation.schedule, LearningRateShape::Constant);
    assert_eq!(settings.algo.json(), json!({ "kl": "exact", "label": "7" }));
}

#[test]
fn a_grids_variant_may_choose_another_component_than_its_grid() {
    let grid = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    let all = grid(&["algo.name=prorl", "algo.gamma=0.9", "seed=1"]);
    let sources = |own: &[&str]| Sources { grid: vec![all.clone(), grid(own)], ..set(&["seed=2"]) };
    let settings = resolve(&sources(&["algo.name=reinforce", "algo.layers=3"]), &Loaded).unwrap().settings;
    assert_eq!((settings.algo.json(), settings.seed), (json!({ "layers": 3 }), 2));
    let settings = resolve(&sources(&[]), &Loaded).unwrap().settings;
    assert_eq!(settings.algo.json(), json!({ "gamma": 0.9 }));
}

#[test]
fn another_component_does_not_inherit_the_parameters_of_the_first() {
    let (_folder, path) = file("[algo]\nname = \"prorl\"\ngamma = 0.9\n[evaluator.gru4rec]\nlayers = 2\n");
    let over = |texts: &[&str]| Sources { files: vec![path.clone()], ..set(texts) };
    let settings = resolve(&over(&["algo.name=reinforce", "algo.layers=3"]), &Loaded).unwrap().settings;
    assert_eq!(settings.algo.json(), json!({ "layers": 3 }));
    let settings = resolve(&over(&["reward.name=gru4rec", "reward.layers=4"]), &Loaded).unwrap().settings;
    assert!(settings.evaluator.parameters.is_empty());
    assert_eq!(settings.evaluators()[1].json(), json!({ "layers": 4 }));
    let message = failure(&set(&["algo.name=reinforce", "algo.gamma=0.9"]));
    assert!(message.starts_with("there is no setting `algo.gamma`"), "{message}");
    let message = failure(&set(&["evaluator.sasrec.layers=2"]));
    assert!(message.ends_with("shares its parameters; set `reward.layers`"), "{message}");
}

#[test]
fn a_model_keeps_its_parameters_whichever_part_it_plays() {
    let (_folder, path) = file("[reward]\nname = \"sasrec\"\nlayers = 3\n[evaluator.gru4rec]\nlayers = 2\n");
    let over = |texts: &[&str]| Sources { files: vec![path.clone()], ..set(texts) };
    let models = |texts: &[&str]| {
        let settings = resolve(&over(texts), &Loaded).unwrap().settings;
        settings.evaluators().iter().map(|it| (it.name.clone(), it.json())).collect::<Vec<_>>()
    };
    let expected = [("sasrec".to_owned(), json!({ "layers": 3 })), ("gru4rec".to_owned(), json!({ "layers": 2 }))];
    assert_eq!(models(&[]), expected);
    assert_eq!(models(&["reward.name=gru4rec"]), expected);
    let resolved = resolve(&over(&["reward.name=gru4rec"]), &Loaded).unwrap();
    assert_eq!(resolved.settings.reward.json(), json!({ "layers": 2 }));
    let (_folder, again) = file(&resolved.to_toml().unwrap());
    let again = resolve(&Sources { files: vec![again], ..Sources::default() }, &Loaded).unwrap();
    assert_eq!(again.settings, resolved.settings);
}

#[test]
fn settings_written_as_toml_read_back_to_the_same() {
    let sources = set(&["algo.weights.ctr=0.25", "evaluator.gru4rec.layers=2", "rl.learning_rate=1e-10", "seed=9"]);
    let first = resolve(&sources, &Loaded).unwrap();
    let (_folder, path) = file(&first.to_toml().unwrap());
    let again = resolve(&Sources { files: vec![path], ..Sources::default() }, &Loaded).unwrap();
    assert_eq!(first.settings, again.settings);
    let (_folder, path) = file(&first.show());
    let shown = resolve(&Sources { files: vec![path], ..Sources::default() }, &Loaded).unwrap();
    assert_eq!(shown.settings.algo.json(), json!({ "gamma": 1.0, "kl": "k1", "weights": { "ctr": 0.25, "ioi": 2.0 } }));
    assert_eq!(shown.settings.rl, first.settings.rl);
}

#[test]
fn published_behaviour_stands_below_what_is_set_beside_it() {
    let resolved = resolve(&set(&["compat=published"]), &Loaded).unwrap();
    assert_eq!((resolved.settings.rl.top_k, resolved.settings.rl.left_padded_rewards), (50, true));
    assert_eq!(resolved.origins.of("rl.top_k"), Origin::Compat);
    let beside = resolve(&set(&["compat=published", "rl.top_k=7"]), &Loaded).unwrap();
    assert_eq!((beside.settings.rl.top_k, beside.settings.rl.left_padded_rewards), (7, true));
    let (_folder, path) = file("compat = \"published\"\n[rl]\nleft_padded_rewards = false\n");
    let undone = resolve(&Sources { files: vec![path], ..set(&["compat=none"]) }, &Loaded).unwrap();
    assert_eq!((undone.settings.rl.top_k, undone.settings.rl.left_padded_rewards), (0, false));
}

#[test]
fn show_tells_every_value_and_its_origin() {
    let text = resolve(&set(&["rl.group=8"]), &Loaded).unwrap().show();
    let line =
        |key: &str| text.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap_or_default().to_owned();
    assert!(line("rl.group").contains("= 8 ") && line("rl.group").ends_with("# command line --set"));
    assert!(line("rl.epochs").ends_with("# default"));
    assert!(line("algo.gamma").ends_with("# default of prorl"));
    assert!(line("algo.weights.ctr").ends_with("# default of prorl"));
    assert!(line("algo.weights.ioi").contains("= 2.0 "), "the component's default goes before its type's");
    assert!(line("evaluator.gru4rec.layers").ends_with("# default of gru4rec"));
    assert!(line("evaluator.sasrec.layers").is_empty());
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let message = failure(&Sources { files: vec!["/nowhere/x.toml".into()], ..Sources::default() });
    assert!(message.starts_with("cannot read the settings in /nowhere/x.toml"), "{message}");
    let (_folder, path) = file("seed = \n");
    let message = failure(&Sources { files: vec![path], ..Sources::default() });
    assert!(message.contains("my.toml") && message.contains("line 1"), "{message}");
    assert!("rl.group".parse::<Assignment>().is_err() && "rl..group=1".parse::<Assignment>().is_err());
}

/// Components whose parameters nothing is known of, as the presets' plugins are not built here.
struct Anything;

impl KnownComponents for Anything {
    fn parameter_schema(&self, kind: Kind, name: &str) -> Option<Value> {
        Loaded.parameter_schema(kind, name).map(|_| json!({ "type": "object", "additionalProperties": true }))
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        Loaded.names(kind)
    }
}

#[test]
fn every_preset_resolves() {
    for name in preset_names() {
        let resolved = resolve(&Sources { preset: Some(name.into()), ..Sources::default() }, &Anything);
        let resolved = resolved.unwrap_or_else(|error| panic!("preset {name}: {error}"));
        assert!(matches!(resolved.origins.of("data.path"), Origin::Preset { name: of, .. } if of == name));
        assert!(resolved.to_toml().is_ok());
    }
}
