//! Codes of the real catalogue: ML-1M's genres and validation sequences.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod catalogue;

use catalogue::{Items, digits, figure, tokenize};
use prorl_plugin_rq_kmeans::RqKmeansParameters;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The items in the file's order with their genres, and every validation record as a sequence.
fn read(folder: &Path) -> Option<Items> {
    let items = std::fs::read_to_string(folder.join("ml-1m.item")).ok()?;
    let records = std::fs::read_to_string(folder.join("ml-1m.val")).ok()?;
    let records: Vec<serde_json::Value> = serde_json::from_str(&records).ok()?;
    let (mut ids, mut genres) = (HashMap::new(), HashMap::new());
    let mut attributes = Vec::new();
    for line in items.lines().skip(1) {
        ids.insert(line.split(',').next()?.to_string(), ids.len() as i64 + 1);
        let of_item = line.rsplit(',').next()?.split(' ').map(|genre| {
            let next = genres.len() as i64;
            *genres.entry(genre.to_string()).or_insert(next)
        });
        attributes.push(of_item.collect());
    }
    let sequences = records
        .iter()
        .map(|record| {
            ["inters", "proc_path"]
                .iter()
                .flat_map(|part| record[part].as_array().unwrap())
                .map(|id| ids[id.as_str().unwrap()])
                .collect()
        })
        .collect();
    Some(Items { attributes, sequences })
}

#[test]
fn every_film_gets_a_code() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let data = std::env::var_os("PRORL_DATA").unwrap_or_else(|| "../shared/data".into());
    let folder = workspace.join(data).join("ml-1m");
    let Some(items) = read(&folder) else {
        eprintln!("skipped: no ml-1m.item and ml-1m.val in {}; set PRORL_DATA", folder.display());
        return;
    };
    let start = std::time::Instant::now();
    let table = tokenize(RqKmeansParameters::default(), &items.catalogue()).unwrap();
    eprintln!("{:.2?}", start.elapsed());
    for (name, value) in &table.report {
        eprintln!("{name} {value:.4}");
    }
    let rows = digits(&table);
    assert_eq!(rows.len(), 3884);
    assert_eq!(rows[1..].iter().collect::<HashSet<_>>().len(), 3883);
    assert!(figure(&table, "codebook_use/level_1") > 0.9);
    assert!(figure(&table, "reconstruction_error/level_3") < 0.6);
    let shared = |a: usize, b: usize| items.attributes[a].iter().any(|genre| items.attributes[b].contains(genre));
    let pairs = (0..3883).flat_map(|a| (a + 1..3883).map(move |b| (a, b)));
    let alike: Vec<bool> =
        pairs.filter(|&(a, b)| rows[a + 1][0] == rows[b + 1][0]).map(|(a, b)| shared(a, b)).collect();
    let share = alike.iter().filter(|&&alike| alike).count() as f64 / alike.len() as f64;
    eprintln!("share of pairs with one first code that share a genre: {share:.3}");
    assert!(share > 0.6);
}
