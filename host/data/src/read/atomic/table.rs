//! The rows of an atomic file, checked against its header.

use super::header::{ColumnType, Header};
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::read::rows::{Cell, Rows, Unclosed};
use std::path::Path;

/// An atomic file, row by row.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    file: &'a Path,
    text: &'a str,
    header: Header,
    sequence_separator: String,
    rows: Rows<'a>,
    cells: Vec<Cell<'a>>,
    count: usize,
}

impl<'a> Table<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The header is malformed.
    pub(crate) fn open(file: &'a Path, text: &'a str, options: &ReadOptions) -> Result<Self, DataError> {
        let header = Header::parse(file, text, options.separator.as_deref(), options.quotes)?;
        let mut rows = Rows::new(text, &header.separator, options.quotes);
        let mut cells = Vec::new();
        // The header has been read from this very row.
        let _ = rows.next(&mut cells);
        let sequence_separator = options.sequence_separator.clone();
        Ok(Self { file, text, header, sequence_separator, rows, cells, count: 0 })
    }

    /// The columns.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// How many rows were read.
    pub(crate) fn rows_read(&self) -> usize {
        self.count
    }

    /// Goes to the next row; false at the end.
    ///
    /// # Errors
    /// The row has more or fewer cells than the header has columns, a quote is never closed, or a float column holds
    /// something else than a number.
    pub(crate) fn next_row(&mut self) -> Result<bool, DataError> {
        match self.rows.next(&mut self.cells) {
            Ok(false) => return Ok(false),
            Ok(true) => self.count += 1,
            Err(Unclosed(quote)) => {
                let problem =
                    "this quote is never closed; close it, or set `quotes` to false if it belongs to the text";
                return Err(DataError::at(self.file, self.text, quote, problem));
            }
        }
        let (expected, found) = (self.header.columns.len(), self.cells.len());
        if found != expected {
            return Err(self.wrong_width(expected, found));
        }
        for (index, column) in self.header.columns.iter().enumerate() {
            let text = &self.cells[index].text;
            let fine = match column.kind {
                ColumnType::Token | ColumnType::TokenSeq => true,
                ColumnType::Float => text.is_empty() || text.trim().parse::<f64>().is_ok(),
                ColumnType::FloatSeq => {
                    let mut pieces = text.split(&*self.sequence_separator).map(str::trim);
                    pieces.all(|piece| piece.is_empty() || piece.parse::<f64>().is_ok())
                }
            };
            if !fine {
                return Err(self.not_a_number(index));
            }
        }
        Ok(true)
    }

    /// The text in a column of this row, trimmed.
    pub(crate) fn text(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.text.trim())
    }

    /// The number in a column of this row.
    ///
    /// # Errors
    /// The cell is empty or no number.
    pub(crate) fn number(&self, column: usize) -> Result<f64, DataError> {
        self.text(column).parse().map_err(|_| self.not_a_number(column))
    }

    /// A problem with the header.
    pub(crate) fn header_error(&self, problem: impl Into<String>) -> DataError {
        DataError::at(self.file, self.text, 0, problem)
    }

    fn not_a_number(&self, column: usize) -> DataError {
        let name = self.header.columns.get(column).map_or("", |column| &column.name);
        let problem = match self.text(column) {
            "" => format!("column `{name}` is empty, but a number is needed"),
            text => {
                format!("`{text}` in column `{name}` is not a number; mend it, or declare the column `{name}:token`")
            }
        };
        let start = self.cells.get(column).map_or(0, |cell| cell.start);
        DataError::at(self.file, self.text, start, problem)
    }

    fn wrong_width(&self, expected: usize, found: usize) -> DataError {
        let names = self.header.names();
        let problem = format!("the row has {found} columns, but the header names {expected} ({names})");
        let first_wrong = self.cells.get(expected).map(|cell| cell.start);
        let end = self.text[..self.rows.position()].trim_end_matches(['\n', '\r']).len();
        DataError::at(self.file, self.text, first_wrong.unwrap_or(end), problem)
    }
}
