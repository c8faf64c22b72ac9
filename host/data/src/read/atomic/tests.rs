#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

const ITEMS: &str = "item_id:token,movie_title:token_seq,class:token_seq\n1,\"Good, the\",Action Drama\n2,b,\"['Drama', 'Sci Fi']\"\n3,c,\n";

fn write(inter: &str, item: &str) -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("x");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("x.inter"), inter).unwrap();
    std::fs::write(folder.join("x.item"), item).unwrap();
    (parent, folder)
}

fn read_with(inter: &str, item: &str, options: &ReadOptions) -> Result<Dataset, DataError> {
    let (_parent, folder) = write(inter, item);
    Dataset::open(&folder, options)
}

fn read(inter: &str, item: &str) -> Result<Dataset, DataError> {
    read_with(inter, item, &ReadOptions::default())
}

#[test]
fn a_small_folder() {
    let inter = "user_id:token\titem_id:token\ttimestamp:float\r\na\t2\t9\r\na\t1\t3\r\nb\t7\t1\r\n\t1\t1\r\n";
    let dataset = read_with(inter, ITEMS, &ReadOptions { split: [1.0, 0.0, 0.0], ..Default::default() }).unwrap();
    assert_eq!(dataset.name, "x");
    assert_eq!(dataset.catalogue.titles()[1], "Good, the");
    assert_eq!(dataset.catalogue.attribute_names(), ["Action", "Drama", "Sci Fi"]);
    assert!(dataset.catalogue.share_attribute(1, 2) && !dataset.catalogue.share_attribute(3, 3));
    assert_eq!(dataset.sequences.iter().collect::<Vec<_>>(), [[1, 2]]);
    assert_eq!(dataset.report.dropped_for("interactions", "the item has no row in .item"), 1);
    assert_eq!(dataset.report.dropped_for("interactions", "no user or no item"), 1);
    assert_eq!(dataset.report.files[0].records, 3);
    assert_eq!(dataset.stats().items_without_attributes, 1);
}

#[test]
fn no_time_means_file_order_with_a_note() {
    let options = ReadOptions { split: [1.0, 0.0, 0.0], ..Default::default() };
    let dataset = read_with("user_id:token,item_id:token\na,2\na,1\n", ITEMS, &options).unwrap();
    assert_eq!(dataset.sequences.iter().next(), Some(&[2, 1][..]));
    assert!(dataset.report.notes.iter().any(|note| note.contains("file order")));
}

#[test]
fn columns_can_be_named_or_found() {
    let items = "product_id:token;name:token_seq;tags:token_seq;brand:token\n1;x y;a b;acme\n";
    let inter = "who:token;product_id:token;when:float;stars:float\nu;1;1;5\nu;1;2;1\n";
    let found = read(inter, items).unwrap();
    assert_eq!(found.catalogue.attribute_names(), ["a", "b"]);
    assert_eq!((found.users, found.interactions), (1, 2));
    let options = ReadOptions {
        attribute_column: Some("brand".into()),
        rating_column: Some("stars".into()),
        min_rating: Some(3.0),
        ..Default::default()
    };
    let named = read_with(inter, items, &options).unwrap();
    assert_eq!(named.catalogue.attribute_names(), ["acme"]);
    assert_eq!(named.report.dropped_for("interactions", "rated lower than min_rating"), 1);
    let absent = ReadOptions { attribute_column: Some("color".into()), ..Default::default() };
    let message = read_with(inter, items, &absent).unwrap_err().to_string();
    assert!(message.contains("x.item:1:1: there is no column `color`"), "{message}");
    assert!(message.contains("product_id, name, tags, brand"), "{message}");
}

#[test]
fn malformed_rows_are_told_by_place() {
    let message = |inter: &str| read(inter, ITEMS).unwrap_err().to_string();
    let header = "user_id:token,item_id:token,timestamp:float\n";
    let at = |rows: &str| message(&format!("{header}{rows}"));
    assert!(at("a,1,5\na,é,soon\n").contains("x.inter:3:5: `soon` in column `timestamp` is not a number"));
    assert!(at("a,1,5,6\n").contains("x.inter:2:7: the row has 4 columns, but the header names 3"));
    assert!(at("a,1\r\n").contains("x.inter:2:4: the row has 2 columns"));
    assert!(at("a,1,\n").contains("x.inter:2:5: column `timestamp` is empty"));
    assert!(at("a,\"1,5\n").contains("x.inter:2:3: this quote is never closed"));
    assert!(read("user_id:token\n", "item_id:token\n").unwrap_err().to_string().contains("attribute_column"));
    assert!(read("user_id:token\n", ITEMS).unwrap_err().to_string().contains("no column holds the item"));
}

#[test]
fn the_hash_follows_contents_and_options() {
    let hash = |inter: &str, seed| read_with(inter, ITEMS, &ReadOptions { seed, ..Default::default() }).unwrap().hash();
    let inter = "user_id:token,item_id:token\na,2\n";
    assert_eq!(hash(inter, 1), hash(inter, 1));
    assert_ne!(hash(inter, 1), hash(inter, 2));
    assert_ne!(hash(inter, 1), hash("user_id:token,item_id:token\na,1\n", 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_panic(inter: Vec<u8>, item: Vec<u8>, typed in "[a1,\"\n\r\té:]{0,40}") {
        let (_parent, folder) = write("", "");
        std::fs::write(folder.join("x.item"), ITEMS).unwrap();
        for bytes in [inter, format!("user_id:token,item_id:token,t:float\n{typed}").into_bytes()] {
            std::fs::write(folder.join("x.inter"), bytes).unwrap();
            let _ = Dataset::open(&folder, &ReadOptions::default());
        }
        for bytes in [item, format!("item_id:token,genres:token_seq\n{typed}").into_bytes()] {
            std::fs::write(folder.join("x.item"), bytes).unwrap();
            let _ = Dataset::open(&folder, &ReadOptions::default());
        }
    }

    /// A wrong number in a random row of a random file is found where it is.
    #[test]
    fn errors_name_the_right_place(names in prop::collection::vec("[a-zéß]{1,5}", 1..20), pick: prop::sample::Index) {
        let wrong = pick.index(names.len());
        let mut inter = String::from("user_id:token\titem_id:token\ttimestamp:float\n");
        for (row, name) in names.iter().enumerate() {
            inter += &format!("{name}\t1\t{}\n", if row == wrong { "x" } else { "7" });
        }
        let column = names[wrong].chars().count() + 4;
        let message = read(&inter, ITEMS).unwrap_err().to_string();
        let expected = format!("x.inter:{}:{column}: `x` in column", wrong + 2);
        prop_assert!(message.contains(&expected), "{} lacks {}", message, expected);
    }
}
