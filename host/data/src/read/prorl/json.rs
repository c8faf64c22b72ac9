//! JSON whose errors know their place.

use crate::error::{DataError, Place};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Parses a whole file.
///
/// # Errors
/// The text is no JSON, or not of the form of `T`.
pub(super) fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, DataError> {
    serde_json::from_str(text).map_err(|error| malformed(file, text, &error, None))
}

/// An error of serde_json with its place; `record` is the number of the record it lies in, from 1.
pub(super) fn malformed(file: &Path, text: &str, error: &serde_json::Error, record: Option<usize>) -> DataError {
    let full = error.to_string();
    let problem = full.rsplit_once(" at line ").map_or(full.as_str(), |(problem, _)| problem);
    let problem = format!("{problem}; mend the file or fetch it again");
    DataError::Malformed { file: file.to_owned(), place: Place { record, ..place(text, error) }, problem }
}

/// serde_json counts columns in bytes, and 0 for a line end.
fn place(text: &str, error: &serde_json::Error) -> Place {
    let start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    Place { line: error.line().max(1), ..Place::of(text, start + error.column().saturating_sub(1)) }
}
