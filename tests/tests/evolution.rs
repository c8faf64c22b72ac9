//! A plugin of yesterday in the host of today: built for real from a frozen copy of the released core, which knew fewer
//! capabilities, it loads, keeps its contract, trains, and is seen to lack what came later.
#![allow(clippy::unwrap_used)]

use prorl_host::plugins::Registry;
use prorl_sdk::abi::fault::FaultKind;
use prorl_sdk::algorithm::Moved;
use prorl_sdk::capabilities;
use prorl_sdk::export::description::Kind;
use prorl_sdk::setup::Setup;
use prorl_tests::{built, done, host, small, text};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tch::{Device, Tensor};

/// The library, built once a run of these tests. It shares the workspace's target folder, and so the compiled bindings
/// of libtorch: some seconds.
fn released() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/released-core");
        let mut cargo = Command::new("cargo");
        cargo.current_dir(source).args(["build", "--release", "--locked", "-p", "released-plugin", "--target-dir"]);
        let output = cargo.arg(built().parent().unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        built().join("libreleased_plugin.so")
    })
}

/// Without this the other tests would show nothing: the host has gained what the frozen core does not know.
#[test]
fn the_core_of_today_has_a_capability_that_the_released_one_lacks() {
    assert!(capabilities::of_kind(Kind::Algorithm).any(|it| it.name == "early_stop"));
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/released-core/frozen/sdk/src");
    for file in ["algorithm.rs", "export/adapters.rs"] {
        let of = |folder: &Path| std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(!of(&frozen).contains("goes_on"), "{file}: the frozen core was edited");
        let today = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/sdk/src");
        assert!(of(&today).contains("goes_on"), "{file}");
    }
}

#[test]
fn a_plugin_of_the_released_core_keeps_its_contract_and_trains() {
    let home = tempfile::tempdir().unwrap();
    let library = released().to_str().unwrap();
    let checked = done(&mut host(home.path(), &["plugin", "check", library]));
    assert!(checked.contains(" 0 failed"), "{checked}");
    let today = env!("CARGO_PKG_VERSION");
    assert!(checked.contains("SDK 0.1.0") && today != "0.1.0", "the plugin is no older than the host: {checked}");
    let skipped = "capability early_stop: updates go on where the policy has not moved … skip: it does not name";
    assert!(checked.contains(skipped), "{checked}");
    let chosen = ["--plugin", library, "--reward=released-reward", "--algo=released-algorithm"];
    let trained = done(&mut host(home.path(), &small(&chosen)));
    assert!(trained.contains("released-algorithm"), "{trained}");
}

#[test]
fn what_came_later_is_reported_as_absent() {
    let home = tempfile::tempdir().unwrap();
    let library = released();
    let info =
        done(&mut host(home.path(), &["plugin", "info", "released-algorithm", "--plugin", library.to_str().unwrap()]));
    assert!(info.lines().any(|line| line.trim_start().starts_with("not offered") && line.contains("early_stop")));

    let registry = Registry::open(&[library.to_owned()]).unwrap();
    let component = registry.find(Kind::Algorithm, "released-algorithm").unwrap();
    assert!(!component.description.has("early_stop"));
    let setup = Setup {
        items: 9,
        history: 2,
        path: 1,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let mut algorithm = registry.algorithm("released-algorithm", &json!({}), &setup).unwrap();
    let digits = || Tensor::zeros([1, 1, 2, 1], (tch::Kind::Float, Device::Cpu));
    let moved = Moved {
        current: digits(),
        behaviour: digits(),
        items: Tensor::from_slice(&[1_i64]).view([1, 1, 1]),
        length: Tensor::from_slice(&[1_i64]).view([1, 1]),
        stopped: Tensor::from_slice(&[true]).view([1, 1]),
    };
    let fault = algorithm.goes_on(&moved).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unsupported);
    assert_eq!(
        fault.to_string(),
        "plugin released-plugin 0.1.0 · released-algorithm · early_stop: it has no capability `early_stop`"
    );
}

/// The capability itself, in a plugin of today: the second and later updates with a batch are not made.
#[test]
fn an_algorithm_that_has_it_ends_a_batch_early() {
    let home = tempfile::tempdir().unwrap();
    let chosen = ["-v", "--algo=ppo", "--set=algo.epochs=3", "--set=algo.minibatches=1"];
    let never = done(&mut host(home.path(), &small(&chosen)));
    assert!(!never.contains("ended the batch"), "{never}");
    let at_once = done(&mut host(home.path(), &small(&[&chosen[..], &["--set=algo.target_kl=1e-30"]].concat())));
    assert!(at_once.contains("ended the batch after 1 updates"), "{at_once}");
}
