//! A file's codes arrive in the catalogue's order, and every fault of it is named.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use prorl_plugin_sem_ids::{SemIds, SemIdsParameters};
use prorl_sdk::prelude::*;
use std::path::{Path, PathBuf};

fn catalogue(ids: &[&str]) -> Catalogue {
    let none = || Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    Catalogue {
        raw_ids: std::iter::once("").chain(ids.iter().copied()).map(String::from).collect(),
        attribute_offsets: Tensor::zeros([ids.len() as i64 + 2], (Kind::Int64, Device::Cpu)),
        attribute_values: none(),
        sequence_offsets: Tensor::zeros([1], (Kind::Int64, Device::Cpu)),
        sequence_items: none(),
        semantic_ids: None,
        embeddings: None,
    }
}

fn setup(items: usize) -> Setup {
    Setup {
        items: items as i64,
        history: 10,
        path: 10,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    }
}

fn tokenize(parameters: SemIdsParameters, catalogue: &Catalogue) -> Result<CodeTable> {
    SemIds::create(parameters, &setup(catalogue.raw_ids.len() - 1))?.tokenize(catalogue)
}

/// Reads `text` for the items `ids`.
fn read(text: &str, ids: &[&str]) -> Result<CodeTable> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sem_ids");
    std::fs::write(&path, text).unwrap();
    let mut catalogue = catalogue(ids);
    catalogue.semantic_ids = Some(path.display().to_string());
    tokenize(SemIdsParameters::default(), &catalogue)
}

/// Fails unless reading fails with the file's name and all `parts` in the message.
fn refused(text: &str, ids: &[&str], parts: &[&str]) {
    let message = read(text, ids).unwrap_err().to_string();
    for part in parts.iter().chain(&["x.sem_ids"]) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn figure(table: &CodeTable, name: &str) -> f64 {
    table.report.iter().find(|(figure, _)| figure == name).unwrap().1
}

#[test]
fn codes_come_in_the_catalogues_order_behind_a_row_of_zeros() {
    let table = read(r#"{"a": [0, 255, 1], "x": [9, 9, 1], "b": [0, 255, 2]}"#, &["b", "a"]).unwrap();
    assert_eq!(table.codes.size(), [3, 3]);
    assert_eq!(Vec::<i64>::try_from(table.codes.flatten(0, 1)).unwrap(), [0, 0, 0, 0, 255, 2, 0, 255, 1]);
    assert_eq!(table.codebook_size, 256);
    assert_eq!(figure(&table, "ignored"), 1.0);
    assert_eq!(figure(&table, "collisions"), 2.0);
    assert_eq!(figure(&table, "largest_collision"), 2.0);
}

#[test]
fn malformed_json_is_located() {
    refused("{\"a\": [1,\n 2", &["a"], &["line 2 column 2"]);
    refused("[1, 2]", &["a"], &["an object from raw item id", "line 1"]);
    refused("{\"a\": [1, 1],\n\"b\": [1, \"x\"]}", &["a"], &["item `b`", "line 2"]);
    refused("{\"a\": [1.5, 1]}", &["a"], &["item `a`", "1.5", "line 1"]);
    refused("{\"a\": 3}", &["a"], &["item `a`", "line 1"]);
    refused("{\"a\": [1]} tail", &["a"], &["trailing characters", "line 1"]);
    refused("", &["a"], &["EOF"]);
}

#[test]
fn records_that_contradict_each_other_are_named() {
    refused("{\"a\": [1, 1],\n\"b\": [1, 1, 1]}", &["a"], &["item `b` has 3 digits", "line 2"]);
    refused("{\"a\": []}", &["a"], &["item `a` has 0 digits"]);
    refused("{\"a\": [1],\n\"a\": [2]}", &["a"], &["item `a` appears twice", "line 2"]);
    refused(r#"{"a": [4, 1], "b": [4, 1]}"#, &["a", "b"], &["`a` and `b`", "[4, 1]"]);
}

#[test]
fn digits_outside_the_codebook_are_named() {
    refused(r#"{"a": [4, 256]}"#, &["a"], &["item `a`", "256 at position 1", "needs 257"]);
    refused(r#"{"a": [-1, 1]}"#, &["a"], &["item `a`", "-1 at position 0", "negative"]);
    refused(r#"{"a": [9223372036854775807, 1]}"#, &["a"], &["item `a`", "`codebook_size` 256"]);
}

#[test]
fn missing_items_are_counted_and_named() {
    refused(
        r#"{"a": [1, 1]}"#,
        &["a", "b", "c", "d", "e", "f", "g"],
        &["6 of the catalogue's 7 items", "`b`, `c`, `d`, `e`, `f`;", "rq-kmeans"],
    );
    refused("{}", &["a"], &["1 of the catalogue's 1 items"]);
    refused("{}", &[], &["the catalogue has no items"]);
}

#[test]
fn without_a_file_the_message_says_what_to_set() {
    let nothing = tokenize(SemIdsParameters::default(), &catalogue(&["a"])).unwrap_err();
    assert!(nothing.to_string().contains("set `path`"), "{nothing}");
    let parameters = SemIdsParameters { path: Some("/nowhere/x.sem_ids".into()), ..Default::default() };
    let absent = tokenize(parameters, &catalogue(&["a"])).unwrap_err();
    assert!(absent.to_string().contains("/nowhere/x.sem_ids"), "{absent}");
}

#[test]
fn parameters_are_checked() {
    let parse = prorl_sdk::parameters::parse::<SemIdsParameters>;
    assert_eq!(parse("{}").unwrap().codebook_size, 256);
    assert!(parse(r#"{"codebook_size": 1}"#).unwrap_err().to_string().contains("codebook_size"));
    assert!(parse(r#"{"file": "x"}"#).unwrap_err().to_string().contains("file"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn distinct_codes_survive_the_round_trip(
        codes in prop::collection::hash_set(prop::collection::vec(0i64..256, 4), 1..40),
    ) {
        let codes: Vec<Vec<i64>> = codes.into_iter().collect();
        let ids: Vec<String> = (0..codes.len()).map(|i| format!("item \"{i}\"")).collect();
        let object: serde_json::Map<_, _> =
            ids.iter().cloned().zip(codes.iter().map(|code| serde_json::json!(code))).collect();
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let table = read(&serde_json::to_string(&object).unwrap(), &names).unwrap();
        let back = Vec::<i64>::try_from(table.codes.narrow(0, 1, codes.len() as i64).flatten(0, 1));
        prop_assert_eq!(back.unwrap(), codes.concat());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\":, 0-9a-c.-]{0,60}") {
        let _ = read(&text, &["a", "b"]);
    }
}

/// The real data: `PRORL_DATA`, from the workspace's root, else `../shared/data`.
fn published() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let data = std::env::var_os("PRORL_DATA").unwrap_or_else(|| "../shared/data".into());
    let folder = workspace.join(data).join("ml-1m");
    let found = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let file =
        found.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|extension| extension == "sem_ids"));
    if file.is_none() {
        eprintln!("skipped: no `.sem_ids` file in {}; set PRORL_DATA", folder.display());
    }
    file
}

#[test]
fn the_published_file_is_read() {
    let Some(path) = published() else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let ids: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut catalogue = catalogue(&ids);
    catalogue.semantic_ids = Some(path.display().to_string());
    let table = tokenize(SemIdsParameters::default(), &catalogue).unwrap();
    assert_eq!(table.codes.size(), [3884, 4]);
    assert_eq!(figure(&table, "collisions"), 12.0);
    assert_eq!(figure(&table, "ignored"), 0.0);
    assert_eq!(table.codes.narrow(0, 1, 3883).narrow(1, 3, 1).min().int64_value(&[]), 1);
}
