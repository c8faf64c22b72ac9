//! A `.sem_ids` file: a JSON object from raw item id to the list of the item's digits.

use prorl_sdk::prelude::*;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;

/// The records of a file in its order; all have the same, positive number of digits.
#[derive(Debug)]
pub(crate) struct CodeFile {
    /// Raw item id and digits.
    pub(crate) records: Vec<(String, Vec<i64>)>,
}

impl CodeFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is not of the form, or a digit is not below `codebook_size`; the
    /// message names file and record.
    pub(crate) fn read(path: &Path, codebook_size: i64) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::Input(format!("cannot read the item codes {shown}: {error}; set `path` to a `.sem_ids` file"))
        })?;
        let file: Self =
            serde_json::from_str(&text).map_err(|error| Error::Input(format!("item codes {shown}: {error}")))?;
        file.check_digits(codebook_size).map_err(|message| Error::Input(format!("item codes {shown}: {message}")))?;
        Ok(file)
    }

    /// Digits of an item.
    pub(crate) fn levels(&self) -> usize {
        self.records.first().map_or(0, |(_, digits)| digits.len())
    }

    fn check_digits(&self, codebook_size: i64) -> Result<(), String> {
        let digits = || self.records.iter().flat_map(|(_, digits)| digits);
        for (id, code) in &self.records {
            let wrong = code.iter().position(|&c| c < 0 || c >= codebook_size);
            let Some(level) = wrong else { continue };
            let digit = code[level];
            let what = format!("item `{id}`: digit {digit} at position {level} of {code:?}");
            return Err(if digit < 0 {
                format!("{what} is negative; digits count from 0")
            } else {
                let needed = digits().max().map_or(0, |largest| largest.saturating_add(1));
                format!("{what} is not below `codebook_size` {codebook_size}; the file needs {needed}")
            });
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for CodeFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Records)
    }
}

/// Collects the records, so that an error knows its line and column.
struct Records;

impl<'de> Visitor<'de> for Records {
    type Value = CodeFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from raw item id to a list of digits, like {\"1\": [82, 195, 247, 1]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CodeFile, A::Error> {
        let mut seen = HashSet::new();
        let mut records: Vec<(String, Vec<i64>)> = Vec::new();
        while let Some(id) = map.next_key::<String>()? {
            let digits: Vec<i64> = map
                .next_value()
                .map_err(|error| A::Error::custom(format!("item `{id}` needs a list of whole numbers: {error}")))?;
            let levels = records.first().map_or(digits.len(), |(_, first)| first.len());
            if digits.is_empty() || digits.len() != levels {
                return Err(A::Error::custom(format!(
                    "item `{id}` has {} digits, but every item should have the same number, at least 1 (the first has {levels})",
                    digits.len(),
                )));
            }
            if !seen.insert(id.clone()) {
                return Err(A::Error::custom(format!("item `{id}` appears twice; keep one record of it")));
            }
            records.push((id, digits));
        }
        Ok(CodeFile { records })
    }
}
