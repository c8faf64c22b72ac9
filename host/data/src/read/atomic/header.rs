//! The first line of an atomic file: `name:type` columns.

use crate::error::DataError;
use crate::read::rows::{Cell, Rows, Unclosed};
use std::path::Path;

/// Separators that are tried when none is given, in order of preference.
const SEPARATORS: [&str; 5] = ["\t", "::", ",", ";", "|"];

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// A name.
    Token,
    /// Names.
    TokenSeq,
    /// A number.
    Float,
    /// Numbers.
    FloatSeq,
}

impl ColumnType {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "token" => Some(Self::Token),
            "token_seq" => Some(Self::TokenSeq),
            "float" => Some(Self::Float),
            "float_seq" => Some(Self::FloatSeq),
            _ => None,
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: ColumnType,
}

/// The columns of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// In file order.
    pub(crate) columns: Vec<Column>,
    /// What separates cells.
    pub(crate) separator: String,
}

impl Header {
    /// Reads the header that `rows` begins with.
    ///
    /// # Errors
    /// The file is empty; a column has no type, one that is not known, or another's name.
    pub(crate) fn parse(file: &Path, text: &str, separator: Option<&str>, quotes: bool) -> Result<Self, DataError> {
        let line = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
        let separator = separator.unwrap_or_else(|| detect(line)).to_owned();
        let mut cells = Vec::new();
        match Rows::new(text, &separator, quotes).next(&mut cells) {
            Ok(true) => {}
            Ok(false) => {
                let problem = "the file is empty; its first line should name the columns, e.g. `item_id:token`";
                return Err(DataError::at(file, text, 0, problem));
            }
            Err(Unclosed(quote)) => {
                return Err(DataError::at(file, text, quote, "a quote in the header is never closed"));
            }
        }
        let mut columns: Vec<Column> = Vec::with_capacity(cells.len());
        for cell in &cells {
            let column = column(cell).map_err(|problem| DataError::at(file, text, cell.start, problem))?;
            if columns.iter().any(|known| known.name == column.name) {
                let problem = format!("a second column is called `{}`; rename or delete one", column.name);
                return Err(DataError::at(file, text, cell.start, problem));
            }
            columns.push(column);
        }
        Ok(Self { columns, separator })
    }

    /// The place of a column.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns' names, for messages.
    pub(crate) fn names(&self) -> String {
        self.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(", ")
    }
}

fn column(cell: &Cell<'_>) -> Result<Column, String> {
    const TYPES: &str = "token, token_seq, float or float_seq";
    let text = cell.text.trim();
    let Some((name, kind)) = text.split_once(':') else {
        return Err(format!("column `{text}` has no type; write e.g. `{text}:token` (types are {TYPES})"));
    };
    let kind = ColumnType::parse(kind.trim()).ok_or_else(|| {
        format!(
            "column `{name}` has the type `{kind}`, which is none of {TYPES}; if columns run together, set `separator`"
        )
    })?;
    if name.is_empty() {
        return Err(format!("a column has no name; write e.g. `item_id{text}`"));
    }
    Ok(Column { name: name.trim().to_owned(), kind })
}

/// The separator that makes most columns of the line, typed ones if any does.
fn detect(line: &str) -> &'static str {
    let typed = |piece: &str| {
        piece.split_once(':').is_some_and(|(_, kind)| ColumnType::parse(kind.trim().trim_matches('"')).is_some())
    };
    let score = |separator: &str| {
        let pieces = || line.split(separator);
        (pieces().all(typed), pieces().count())
    };
    // `max_by_key` keeps the last of equals, so the preferred come last.
    SEPARATORS.into_iter().rev().max_by_key(|separator| score(separator)).unwrap_or("\t")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn parse(text: &str) -> Result<Header, DataError> {
        Header::parse(Path::new("x.item"), text, None, true)
    }

    #[test]
    fn separators_are_found_out() {
        for separator in SEPARATORS {
            let header =
                parse(&format!("item_id:token{separator}genres:token_seq{separator}price:float\r\n1")).unwrap();
            assert_eq!(header.separator, separator);
            assert_eq!(header.names(), "item_id, genres, price");
            assert_eq!(header.columns[1].kind, ColumnType::TokenSeq);
        }
        assert_eq!(parse("item_id:token").unwrap().columns.len(), 1);
        assert_eq!(parse("\"item_id:token\",\"genres:token_seq\"").unwrap().names(), "item_id, genres");
    }

    #[test]
    fn what_is_wrong_is_told_by_place() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert!(message("").starts_with("x.item:1:1: the file is empty"));
        assert!(message("item_id:token,price").starts_with("x.item:1:15: column `price` has no type"));
        assert!(message("item_id:token,price:flot").starts_with("x.item:1:15: column `price` has the type `flot`"));
        assert!(message("a:token\tb:float\ta:float").starts_with("x.item:1:17: a second column is called `a`"));
        assert!(message("a:token,:float").starts_with("x.item:1:9: a column has no name"));
        assert!(message("a:token b:token").contains("set `separator`"));
        assert!(message("\"a:token").contains("never closed"));
    }
}
