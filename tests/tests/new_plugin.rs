//! A new user: generate a plugin of every kind, build it, test it, check it, install it, run an experiment with it.
//!
//! Marked as slow: the first build compiles libtorch's bindings for the generated crates (minutes). Run it with
//! `cargo test --release -p prorl-tests --test new_plugin -- --ignored`.
#![allow(clippy::unwrap_used)]

use prorl_tests::{SMALL, SMALL_POLICY, built, done, host, text};
use std::path::Path;
use std::process::Command;

/// Cargo in the generated crate; all of them share what they build.
fn cargo(home: &Path, name: &str, verb: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(home.join(name))
        .args([verb, "--release"])
        .env("CARGO_TARGET_DIR", built().join("../tmp/plugins"));
    command.env_remove("RUSTFLAGS").env_remove("LIBTORCH");
    command
}

#[test]
#[ignore = "compiles libtorch's bindings for the generated crates"]
fn a_plugin_of_every_kind_goes_from_new_to_an_experiment() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let kinds =
        [("reward", "my-reward"), ("algorithm", "an-algorithm"), ("policy", "the-policy-2"), ("tokenizer", "codes")];
    for (kind, name) in kinds {
        done(&mut host(home, &["plugin", "new", kind, name]));
        done(&mut cargo(home, name, "build"));
        done(&mut cargo(home, name, "test"));
        let file = format!("libprorl_plugin_{}.so", name.replace('-', "_"));
        let library = built().join("../tmp/plugins/release").join(file);
        let library = library.to_str().unwrap();
        let checked = done(&mut host(home, &["plugin", "check", library]));
        assert!(checked.contains(" 0 failed"), "{checked}");
        let installed = done(&mut host(home, &["plugin", "install", library]));
        assert!(installed.contains(name), "{installed}");
    }
    let first = [SMALL, SMALL_POLICY, &["--algo=prorl", "--reward=my-reward"]].concat();
    assert!(done(&mut host(home, &first)).contains("my-reward"));
    let all = ["--reward=my-reward", "--algo=an-algorithm", "--policy=the-policy-2", "--tokenizer=codes"];
    assert!(done(&mut host(home, &[SMALL, &all].concat())).contains("an-algorithm"));
}

/// Builds the crate with the body of a function begun by `statement`.
fn spoil(home: &Path, name: &str, function: &str, statement: &str) {
    let source = home.join(name).join("src/reward_model.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    let begin = text.find(function).unwrap();
    let body = begin + text[begin..].find("{\n").unwrap() + 2;
    std::fs::write(&source, format!("{}{statement}\n{}", &text[..body], &text[body..])).unwrap();
    done(&mut cargo(home, name, "build"));
    std::fs::write(&source, text).unwrap();
}

#[test]
#[ignore = "compiles libtorch's bindings for the generated crates"]
fn a_plugin_that_panics_or_aborts_ends_no_check_but_its_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    done(&mut host(home, &["plugin", "new", "reward", "rogue"]));
    let library = built().join("../tmp/plugins/release/libprorl_plugin_rogue.so");
    let library = library.to_str().unwrap();
    let failed = |arguments: &[&str]| {
        let output = host(home, arguments).output().unwrap();
        (output.status.code(), text(&output))
    };
    for (function, statement, reason) in [
        ("fn create", "if setup.items > 0 { panic!(\"no luck\"); }", "panicked: no luck (at src/reward_model.rs"),
        ("fn score_paths", "if prompts.len() > 0 { panic!(\"no luck\"); }", "score_paths: panicked: no luck"),
        ("fn score_paths", "if prompts.len() > 0 { std::process::abort(); }", "ended its process"),
        ("fn create", "if setup.items > 0 { std::process::exit(0); }", "ended its process"),
    ] {
        spoil(home, "rogue", function, statement);
        let (code, said) = failed(&["plugin", "check", library]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(reason), "{statement}: {said}");
    }
    // In an experiment a panic ends the run with a sentence, not with a crash.
    spoil(home, "rogue", "fn score_paths", "if prompts.len() > 0 { panic!(\"no luck\"); }");
    let (code, said) = failed(&[SMALL, SMALL_POLICY, &["--reward=rogue", "--plugin", library]].concat());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("plugin prorl-plugin-rogue 0.1.0 · rogue · score_paths: panicked: no luck"), "{said}");
}
