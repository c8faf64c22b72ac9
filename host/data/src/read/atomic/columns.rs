//! Which column plays which part.

use super::header::{ColumnType, Header};
use super::table::Table;
use crate::error::DataError;

/// The column the user named, or else the first of `usual` names that there is.
///
/// # Errors
/// The column that option `option` names does not exist.
pub(super) fn chosen(
    table: &Table<'_>,
    option: &'static str,
    named: Option<&str>,
    usual: &[&str],
) -> Result<Option<usize>, DataError> {
    let header = table.header();
    match named {
        None => Ok(usual.iter().find_map(|name| header.index_of(name))),
        Some(name) => header.index_of(name).map(Some).ok_or_else(|| {
            table.header_error(format!(
                "there is no column `{name}`, which `{option}` names; there are {}",
                header.names()
            ))
        }),
    }
}

/// The first column of a type that is not among `taken`.
pub(super) fn first_of(header: &Header, kind: ColumnType, taken: &[usize]) -> Option<usize> {
    let mut columns = header.columns.iter().enumerate();
    columns.find(|(index, column)| column.kind == kind && !taken.contains(index)).map(|(index, _)| index)
}

/// An error for a part that no column can play.
pub(super) fn missing(table: &Table<'_>, part: &str, option: &str) -> DataError {
    let names = table.header().names();
    table.header_error(format!("no column holds {part}; name one with `{option}` (there are {names})"))
}
