#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

const ITEMS: &str = "item_id:token,title:token,genres:token_seq\n10,A,x\n20,B,x y\n30,C,y\n40,D,y\n";
const MAPS: &str = r#"{"user2id": {"u": 1, "v": 2}, "item2id": {"30": 2, "10": 1}, "id2attribute": {"5": "x", "6": "y"},
    "itemid2title": {"1": "A"}, "raw_item_id2attribute": {"10": [5, 6], "30": [6]}, "other": 1}"#;

fn record(user: usize, path: &str) -> String {
    format!(r#"{{"user": "{user}", "inters": ["10", "10", "20"], "proc_path": [{path}]}}"#)
}

fn read(files: &[(&str, String)], options: &ReadOptions) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    Dataset::open(folder.path(), options)
}

fn records(count: usize) -> String {
    format!("[{}]", (0..count).map(|user| record(user, "\"20\", \"30\"")).collect::<Vec<_>>().join(", "))
}

#[test]
fn all_files() {
    let test =
        r#"[{"inters": ["10"], "target": "40", "proc_path": ["20", "30", "40"]}, {"inters": [], "proc_path": ["10"]}]"#;
    let files = [
        ("x.train", format!("[{}, {}]", record(1, "\"20\", \"30\""), record(2, "\"99\""))),
        ("x.val", records(1)),
        ("x.test", test.into()),
        ("x.item", ITEMS.into()),
        ("codes.sem_ids", r#"{"10": [1, 1], "20": [1, 2], "40": [1, 3], "30": [2, 1]}"#.into()),
    ];
    let dataset = read(&files, &ReadOptions { history: 2, ..Default::default() }).unwrap();
    assert_eq!(dataset.name, "x");
    let example = &dataset.train[0];
    assert_eq!((&example.history[..], &example.path[..], example.target), (&[1, 2][..], &[2][..], 3));
    assert_eq!((&dataset.test[0].path[..], dataset.test[0].target), (&[2, 3][..], 4));
    assert_eq!(dataset.sequences.iter().collect::<Vec<_>>(), [[1, 2, 2, 3]]);
    assert_eq!(dataset.report.dropped_for("examples", "an item is not in the catalogue"), 1);
    assert_eq!(dataset.report.dropped_for("examples", "the history is empty"), 1);
    assert!(dataset.semantic_ids.is_some() && dataset.embeddings.is_none());
}

#[test]
fn a_missing_training_file_is_made_up_for() {
    let options = ReadOptions { held_out: 0.25, ..Default::default() };
    let files = [("x.val", records(400)), ("x.item", ITEMS.into())];
    let dataset = read(&files, &options).unwrap();
    assert_eq!(dataset.train.len() + dataset.validation.len(), 400);
    assert!((70..130).contains(&dataset.validation.len()), "{}", dataset.validation.len());
    assert_eq!(dataset.sequences.len(), dataset.train.len());
    assert!(dataset.report.notes.iter().any(|note| note.starts_with("only the validation file is there")));
    let alone = read(&[("x.train", records(400)), ("x.item", ITEMS.into())], &options).unwrap();
    assert_eq!(alone.validation, dataset.validation);
}

#[test]
fn items_without_code_leave() {
    let files = [("x.val", records(3)), ("x.item", ITEMS.into()), ("x.sem_ids", r#"{"10": [1], "20": [2]}"#.into())];
    let dataset = read(&files, &ReadOptions::default()).unwrap();
    assert_eq!((dataset.catalogue.len(), dataset.train.len()), (2, 0));
    let all = read(&files, &ReadOptions { only_coded_items: false, ..Default::default() }).unwrap();
    assert_eq!(all.catalogue.len(), 4);
    let broken = [files[0].clone(), files[1].clone(), ("x.sem_ids", r#"{"10": "a"}"#.into())];
    let message = read(&broken, &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("x.sem_ids:1:") && message.contains("expected a sequence"), "{message}");
}

#[test]
fn datamaps_stand_in_for_items() {
    let files = [("x.val", records(1)), ("x.datamaps", MAPS.into())];
    let dataset = read(&files, &ReadOptions::default()).unwrap();
    assert_eq!(dataset.catalogue.raw_ids(), ["", "10", "30"]);
    assert_eq!(dataset.catalogue.titles()[1], "A");
    assert!(dataset.catalogue.share_attribute(1, 2));
    assert_eq!(dataset.users, 2);
    let message = read(&files[..1], &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("neither `*.item` nor `*.datamaps`"), "{message}");
}
