//! Counts on the real files in the folder that `PRORL_DATA` names (by default `../shared/data` beside the workspace).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_data::{Dataset, ReadOptions};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("PRORL_DATA").map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    let folder = data.join(name);
    if !folder.is_dir() {
        println!("skipped: {} is not there; name the data's folder with PRORL_DATA", folder.display());
        return None;
    }
    Some(folder)
}

fn without_drama() -> ReadOptions {
    ReadOptions { ignore_attributes: vec!["Drama".into()], ..ReadOptions::default() }
}

#[test]
fn published_ml_1m() {
    let Some(folder) = folder("ml-1m") else { return };
    let dataset = Dataset::open(&folder, &without_drama()).unwrap();
    println!("{}", dataset.describe());
    assert_eq!(dataset.catalogue.len(), 3883);
    assert_eq!(dataset.train.len() + dataset.validation.len(), 6771);
    assert_eq!(dataset.test.len(), 6928);
    assert!(dataset.report.dropped_for("examples", "an item is not in the catalogue") == 0);
    let all: Vec<_> = dataset.train.iter().chain(&dataset.validation).cloned().collect();
    let stats = prorl_data::SplitStats::of(&all, &dataset.catalogue);
    assert!((stats.mean_path_length - 2.838).abs() < 1e-3);
    // The test file's paths include the run's own last item.
    assert!((dataset.stats().test.mean_path_length - 3.855).abs() < 1e-3);
    assert_eq!(dataset.stats().test.targets_in_history, 22);
    let held_out = dataset.validation.len() as f64 / 6771.0;
    assert!((0.05..0.15).contains(&held_out), "{held_out}");
}

/// The published paths are maximal coherent runs if, and only if, Drama does not count.
#[test]
fn published_paths_are_maximal_coherent_runs_without_drama() {
    let Some(folder) = folder("ml-1m") else { return };
    for (options, starts_coherent) in [(without_drama(), 0), (ReadOptions::default(), 1169)] {
        let dataset = Dataset::open(&folder, &options).unwrap();
        let mut starts = 0;
        for example in dataset.train.iter().chain(&dataset.validation) {
            let run: Vec<u32> = example.path_and_target().collect();
            assert!(run.windows(2).all(|pair| dataset.catalogue.share_attribute(pair[0], pair[1])));
            let last = example.history[example.history.len() - 1];
            starts += usize::from(dataset.catalogue.share_attribute(last, run[0]));
        }
        assert_eq!(starts, starts_coherent);
        let test = dataset.stats().test;
        assert_eq!(test.path_coherence(), 1.0);
        assert!(test.target_coherence < 0.4, "{}", test.target_coherence);
    }
}

#[test]
fn atomic_ml_100k() {
    let Some(folder) = folder("ml-100k") else { return };
    let dataset = Dataset::open(&folder, &ReadOptions::default()).unwrap();
    println!("{}", dataset.describe());
    let stats = dataset.stats();
    assert_eq!((stats.interactions, stats.users, stats.items), (100_000, 943, 1682));
    assert!(!dataset.train.is_empty() && !dataset.validation.is_empty() && !dataset.test.is_empty());
    assert_eq!(
        (stats.train.path_coherence(), stats.train.target_coherence, stats.train.start_coherence),
        (1.0, 1.0, 0.0)
    );
    assert_eq!(stats.test.path_coherence(), 1.0);
    assert_eq!(dataset.hash(), Dataset::open(&folder, &ReadOptions::default()).unwrap().hash());
}

#[test]
fn k_core_of_ml_100k_is_stable() {
    let Some(folder) = folder("ml-100k") else { return };
    let options = ReadOptions {
        min_user_interactions: 20,
        min_item_interactions: 40,
        drop_unseen_items: true,
        ..ReadOptions::default()
    };
    let dataset = Dataset::open(&folder, &options).unwrap();
    println!("{}", dataset.describe());
    let left_out: usize = dataset.report.dropped.iter().filter(|it| it.what == "interactions").map(|it| it.count).sum();
    assert_eq!(dataset.interactions + left_out, 100_000);
    assert!(dataset.catalogue.len() < 1000);
}
