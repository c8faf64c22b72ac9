//! Records of `X.train`, `X.val` and `X.test`: `{user?, inters, proc_path, target?}`.

use super::json;
use crate::error::DataError;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use std::path::Path;

/// A record in raw ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Record {
    /// Who, if the file says so.
    pub(super) user: Option<String>,
    /// What the user did last.
    pub(super) history: Vec<String>,
    /// Items before the target.
    pub(super) path: Vec<String>,
    /// The target.
    pub(super) target: String,
}

/// A record as it is written.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    user: Option<RawId>,
    inters: Vec<RawId>,
    proc_path: Vec<RawId>,
    #[serde(default)]
    target: Option<RawId>,
}

impl TryFrom<Written> for Record {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let plain = |ids: Vec<RawId>| ids.into_iter().map(|id| id.0).collect::<Vec<_>>();
        let mut path = plain(written.proc_path);
        let target = match written.target {
            Some(target) => {
                // Published test files repeat the target at the end of the path.
                path.pop_if(|last| *last == target.0);
                target.0
            }
            None => path.pop().ok_or("`proc_path` is empty and there is no `target`, so the path leads nowhere")?,
        };
        Ok(Self { user: written.user.map(|user| user.0), history: plain(written.inters), path, target })
    }
}

/// An id, written as a text or as a whole number.
struct RawId(String);

impl<'de> Deserialize<'de> for RawId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;
        impl Visitor<'_> for Id {
            type Value = RawId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id, as a text or a whole number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawId, E> {
                Ok(RawId(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawId, E> {
                Ok(RawId(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RawId, E> {
                Ok(RawId(number.to_string()))
            }
        }
        deserializer.deserialize_any(Id)
    }
}

/// Reads the records of a file's text.
///
/// # Errors
/// The text is no JSON list of records; the message names line, column and record.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Record>, DataError> {
    let complete = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_seq(Records { complete: &complete });
    let read = read.and_then(|records| deserializer.end().map(|()| records));
    read.map_err(|error| json::malformed(file, text, &error, complete.get().map(|count: usize| count + 1)))
}

/// Reads a list and counts the records that are complete, while within it.
struct Records<'c> {
    complete: &'c Cell<Option<usize>>,
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = Vec<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        self.complete.set(Some(0));
        while let Some(record) = list.next_element()? {
            records.push(record);
            self.complete.set(Some(records.len()));
        }
        self.complete.set(None);
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Vec<Record>, DataError> {
        read(Path::new("x.val"), text)
    }

    #[test]
    fn with_and_without_target() {
        let text = r#"[{"user": 7, "inters": ["1", 2], "proc_path": ["3", "4"]},
            {"inters": ["1"], "proc_path": ["3", "4"], "target": "4", "extra": null},
            {"inters": ["1"], "proc_path": [], "target": -4}]"#;
        let records = parse(text).unwrap();
        assert_eq!(records[0].user.as_deref(), Some("7"));
        assert_eq!((records[0].history.clone(), records[0].target.as_str()), (vec!["1".into(), "2".into()], "4"));
        assert_eq!(records[0].path, records[1].path);
        assert_eq!((records[2].path.len(), records[2].target.as_str()), (0, "-4"));
    }

    #[test]
    fn what_is_wrong_is_told_by_line_column_and_record() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        let good = r#"{"inters": ["é"], "proc_path": ["3"]}"#;
        let wrong = message(&format!("[{good},\n {{\"inters\": [\"1\", true], \"proc_path\": []}}]"));
        assert!(wrong.starts_with("x.val:2:22 (record 2): invalid type: boolean `true`, expected an id"), "{wrong}");
        assert!(message(&format!("[{good}, {{\"inters\": []}}]")).contains("(record 2): missing field `proc_path`"));
        assert!(message("[{\"inters\": [], \"proc_path\": []}]").contains("(record 1): `proc_path` is empty"));
        assert!(message(&format!("[{good}, {good}")).contains("(record 3): EOF"));
        assert!(message("{}").contains("expected a list of records"));
        assert!(message("").starts_with("x.val:1:1: EOF"));
        assert!(message(&format!("[{good}]]")).contains("trailing characters"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[\\[\\]{}\":,a0 \n]{0,40}", cut in 0usize..80) {
            let _ = parse(&text);
            let good = r#"[{"user": "ü", "inters": ["1"], "proc_path": ["3", "4"], "target": "4"}]"#;
            let cut = (0..=cut.min(good.len())).rev().find(|&at| good.is_char_boundary(at)).unwrap();
            prop_assert_eq!(parse(&good[..cut]).is_ok(), cut == good.len());
        }
    }
}
