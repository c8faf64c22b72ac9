//! The invariants of `docs/architecture.md` that a test can hold.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let skipped = ["target", ".libtorch", "released-core"]; // the last is a core of its own, frozen
        if path.is_dir() && !skipped.iter().any(|it| path.ends_with(it)) {
            files(&path, name, found);
        } else if path.file_name().unwrap().to_string_lossy().ends_with(name) {
            found.push(path);
        }
    }
}

fn of_parts(parts: &[&str], name: &str) -> Vec<(String, String)> {
    let root = workspace();
    let mut found = Vec::new();
    for part in parts {
        files(&root.join(part), name, &mut found);
    }
    assert!(!found.is_empty(), "no {name} under {parts:?}");
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().display().to_string();
        (relative, std::fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(read).collect()
}

/// Dependencies that a manifest lists, development ones left out.
fn dependencies(manifest: &str) -> Vec<String> {
    let table: toml::Table = manifest.parse().unwrap();
    let listed = table.get("dependencies").and_then(|it| it.as_table()).cloned().unwrap_or_default();
    listed.keys().cloned().collect()
}

#[test]
fn abi_stable_is_named_by_core_abi_alone() {
    for (path, manifest) in of_parts(&["core", "plugins", "host", "tests", "xtask"], "Cargo.toml") {
        let names = dependencies(&manifest).iter().any(|name| name == "abi_stable");
        assert_eq!(names, path == "core/abi/Cargo.toml", "{path}");
    }
}

/// abi_stable refuses a plugin whose `core/abi` has another version in its first two numbers.
#[test]
fn the_version_of_core_abi_follows_the_plugin_abi_alone() {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path)).unwrap();
    let manifest: toml::Table = read("core/abi/Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["version"].as_str(), Some("0.1.0"), "plugins of ABI 1 were built with 0.1");
    assert!(read("core/abi/src/hello.rs").contains("ABI_VERSION: u32 = 1;"), "a new ABI: give core/abi a new version");
}

#[test]
fn dependencies_point_one_way() {
    for (path, manifest) in of_parts(&["core", "plugins", "host"], "Cargo.toml") {
        for dependency in dependencies(&manifest) {
            let plugin = dependency.starts_with("prorl-plugin-");
            assert!(!plugin, "{path} depends on the plugin {dependency}");
            if path.starts_with("plugins/") {
                assert!(
                    !["prorl-host", "prorl-data", "prorl-distributed", "prorl-abi"].contains(&dependency.as_str()),
                    "{path}: {dependency}"
                );
            }
            if path.starts_with("core/") {
                let core = ["prorl-abi", "prorl-sdk"].contains(&dependency.as_str());
                assert!(core || !dependency.starts_with("prorl-"), "{path}: {dependency}");
            }
        }
    }
}

#[test]
fn unsafe_is_written_in_the_named_places_only() {
    let allowed = [
        "core/abi/src/cuda.rs",
        "core/abi/src/tensor.rs",
        "core/abi/src/module.rs",
        "core/abi/src/hello.rs",
        "host/src/plugins/library.rs",
        "host/distributed/src/calls.rs",
        "core/kernels/src/floats.rs",
        "core/kernels/src/matrices/mod.rs",
        "core/kernels/src/matrices/layout.rs",
        "core/kernels/src/node.rs",
        "core/kernels/src/threads.rs",
        "core/kernels/src/registers.rs",
        "core/kernels/src/tiles/mod.rs",
        "core/kernels/src/norm/passes.rs",
        "core/kernels/src/dropout/passes.rs",
        "core/kernels/src/softmax/passes.rs",
        "core/kernels/src/standing/passes.rs",
        "core/kernels/src/attention/softmax.rs",
        "core/kernels/src/attention/whole.rs",
        "core/kernels/src/lookup/passes.rs",
        "core/kernels/src/sublayers/rows.rs",
        "core/kernels/src/layers/feed_forward.rs",
        "core/kernels/src/layers/looking.rs",
        "core/kernels/src/layers/projection.rs",
        "core/kernels/src/layers/residual.rs",
        "core/kernels/src/layers/weights.rs",
    ];
    for (path, text) in of_parts(&["core", "plugins", "host", "tests/src", "xtask"], ".rs") {
        let code = text.lines().map(|line| line.split("//").next().unwrap());
        let blocks = code.filter(|line| ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|it| line.contains(it)));
        let count = blocks.count();
        assert!(count == 0 || allowed.contains(&path.as_str()), "{path} has {count} unsafe blocks");
        let arguments = text.matches("// SAFETY:").count();
        assert!(arguments >= count.min(1) && arguments * 2 >= count, "{path}: {count} unsafe, {arguments} arguments");
    }
}

#[test]
fn every_crate_has_a_readme_or_says_in_its_root_what_it_is() {
    for (path, manifest) in of_parts(&["core", "plugins", "host", "xtask"], "Cargo.toml") {
        let folder = workspace().join(&path).parent().unwrap().to_owned();
        assert!(manifest.contains("[package]"), "{path}");
        let root = ["src/lib.rs", "src/main.rs"].iter().find_map(|it| std::fs::read_to_string(folder.join(it)).ok());
        assert!(root.unwrap().starts_with("//!") || folder.join("README.md").is_file(), "{path}");
    }
}
