//! Several components in one library, with C++ of its own; several plugins in one program.
#![allow(clippy::unwrap_used)]

use prorl_tests::{built, small, text};
use std::path::{Path, PathBuf};
use std::process::Output;

fn program(name: &str, home: &Path, arguments: &[&str]) -> Output {
    prorl_tests::program(name, home).args(arguments).output().unwrap()
}

fn done(name: &str, home: &Path, arguments: &[&str]) -> String {
    let output = program(name, home, arguments);
    assert!(output.status.success(), "{name} {arguments:?}: {}", text(&output));
    text(&output)
}

/// A copy of a library away from the programs: lists leave out where those lie that lie beside.
fn away(home: &Path, name: &str) -> PathBuf {
    let place = home.join(name);
    std::fs::copy(built().join(name), &place).unwrap();
    place
}

#[test]
fn a_library_may_hold_several_components_and_foreign_code() {
    let home = tempfile::tempdir().unwrap();
    let library = away(home.path(), "libtwo_in_one.so");
    let library = library.to_str().unwrap();
    let host = |arguments: &[&str]| done("prorl-host", home.path(), arguments);
    let list = host(&["plugin", "list", "--plugin", library]);
    for name in ["gray-codes", "gain-signs"] {
        let line = list.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(line.contains(library), "{line}");
        let info = host(&["plugin", "info", name, "--plugin", library]);
        assert!(info.contains(&format!("`{name}`")) && info.contains("two-in-one"), "{info}");
    }
    let checked = host(&["plugin", "check", library]);
    assert!(checked.contains("tokenizer `gray-codes`") && checked.contains("algorithm `gain-signs`"), "{checked}");
    assert!(checked.contains(" 0 failed"), "{checked}");
    let installed = host(&["plugin", "install", library]);
    assert!(installed.contains("`gray-codes`") && installed.contains("`gain-signs`"), "{installed}");
    let trained = host(&small(&["--tokenizer=gray-codes", "--algo=gain-signs"]));
    assert!(trained.contains("gain-signs"), "{trained}");
}

#[test]
fn two_components_of_one_name_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let library = away(home.path(), "libtwo_in_one.so");
    let mut bytes = std::fs::read(&library).unwrap();
    let (from, to) = (b"gain-signs", b"gray-codes");
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    std::fs::write(&library, bytes).unwrap();
    for (verb, code) in [("check", 1), ("install", 2)] {
        let output = program("prorl-host", home.path(), &["plugin", verb, library.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains("it offers `gray-codes` twice: give each component"), "{}", text(&output));
    }
}

/// The guide shows the very files.
#[test]
fn the_docs_show_how_foreign_code_is_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = std::fs::read_to_string(root.join("docs/plugins.md")).unwrap();
    let folder = root.join("tests/fixtures/two-in-one");
    for file in ["build.rs", "src/gray.cpp"] {
        assert!(
            guide.contains(&std::fs::read_to_string(folder.join(file)).unwrap()),
            "docs/plugins.md: {file} is stale"
        );
    }
    let caller = std::fs::read_to_string(folder.join("src/gray_codes.rs")).unwrap();
    let declaration = &caller[caller.find("#[allow(unsafe_code)]").unwrap()..];
    let declaration = &declaration[..declaration.find("\n}\n").unwrap() + 3];
    assert!(guide.contains(declaration), "docs/plugins.md: the declaration is stale");
}

/// What a list says of names and docs, without where they come from.
fn names(list: &str) -> Vec<String> {
    list.lines().map(|line| line.split("  [").next().unwrap().to_owned()).collect()
}

#[test]
fn plugins_that_are_linked_in_go_by_the_same_names() {
    let home = tempfile::tempdir().unwrap();
    let list = done("prorl-host-bundled", home.path(), &["plugin", "list"]);
    assert_eq!(names(&list), names(&done("prorl-host", home.path(), &["plugin", "list"])));
    for line in list.lines().filter(|line| line.starts_with("  ")) {
        assert!(line.ends_with("[built in]"), "{line}");
    }
    assert!(!list.contains("shadowed"), "{list}");
    let info = done("prorl-host-bundled", home.path(), &["plugin", "info", "ppo"]);
    assert!(info.contains("prorl-plugin-ppo") && info.contains("built in: "), "{info}");
}

#[test]
fn plugins_that_are_linked_in_do_the_same() {
    let home = tempfile::tempdir().unwrap();
    let both = ["prorl-host", "prorl-host-bundled"];
    let folder = |name: &str| home.path().join(name);
    let tables = both.map(|name| {
        std::fs::create_dir(folder(name)).unwrap();
        let output = program(name, &folder(name), &small(&[]));
        assert!(output.status.success(), "{}", text(&output));
        // What follows tells how long things took.
        String::from_utf8_lossy(&output.stdout).split("Reward models").next().unwrap().to_owned()
    });
    assert!(tables[0].contains("sasrec IoI") && tables[0].contains("prorl"), "{}", tables[0]);
    assert_eq!(tables[0], tables[1]);
    let faults = both.map(|name| {
        let output = program(name, &folder(name), &small(&["--set=algo.gamma=7"]));
        (output.status.code(), text(&output))
    });
    assert!(faults[0].1.contains("gamma") && faults[0].0 == Some(2), "{:?}", faults[0]);
    assert_eq!(faults[0], faults[1]);
}

#[test]
fn a_chosen_library_goes_before_what_is_linked_in() {
    let home = tempfile::tempdir().unwrap();
    let library = away(home.path(), "libprorl_plugin_rloo.so");
    let list = done("prorl-host-bundled", home.path(), &["plugin", "list", "--plugin", library.to_str().unwrap()]);
    let line = list.lines().find(|line| line.starts_with("  rloo")).unwrap();
    assert!(line.contains(library.to_str().unwrap()), "{line}");
    assert!(list.contains(" (built in) is shadowed by that of"), "{list}");
}
