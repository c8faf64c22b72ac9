//! Rows of cells, with the place of every cell.
//!
//! CSV's rules (RFC 4180) with a separator of any length: a cell that begins with a double quote ends at the next
//! single one, may hold separators and line ends, and doubles its own quotes. Text after the closing quote is kept.
//! Line ends are `\n` or `\r\n`; empty lines are skipped. The `csv` crate knows neither separators of two characters
//! (MovieLens) nor where in a line a cell begins.

use std::borrow::Cow;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    /// Its text, quotes taken off.
    pub(crate) text: Cow<'a, str>,
    /// The byte of the file where it begins.
    pub(crate) start: usize,
}

/// A quote at this byte is never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclosed(pub(crate) usize);

/// Rows of a text.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    text: &'a str,
    separator: String,
    quotes: bool,
    at: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `text`, cells separated by the non-empty `separator`.
    pub(crate) fn new(text: &'a str, separator: &str, quotes: bool) -> Self {
        Self { text, separator: separator.to_owned(), quotes, at: 0 }
    }

    /// The byte after the last row.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Puts the next row into `cells`; false at the end.
    ///
    /// # Errors
    /// A quote is never closed.
    pub(crate) fn next(&mut self, cells: &mut Vec<Cell<'a>>) -> Result<bool, Unclosed> {
        cells.clear();
        while let Some(length) = line_end(&self.text[self.at..]) {
            self.at += length;
        }
        if self.at == self.text.len() {
            return Ok(false);
        }
        loop {
            cells.push(self.cell()?);
            let rest = &self.text[self.at..];
            if rest.starts_with(&*self.separator) {
                self.at += self.separator.len();
            } else {
                self.at += line_end(rest).unwrap_or(0);
                return Ok(true);
            }
        }
    }

    fn cell(&mut self) -> Result<Cell<'a>, Unclosed> {
        let start = self.at;
        let text =
            if self.quotes && self.text[start..].starts_with('"') { self.quoted()? } else { self.plain().into() };
        Ok(Cell { text, start })
    }

    /// Up to the next separator or line end.
    fn plain(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let newline = rest.find('\n');
        let mut line = &rest[..newline.unwrap_or(rest.len())];
        if newline.is_some() || line.ends_with('\r') {
            line = line.strip_suffix('\r').unwrap_or(line);
        }
        let mut characters = self.separator.chars();
        let end = match (characters.next(), characters.next()) {
            (Some(only), None) => line.find(only), // much faster than looking for a text
            _ => line.find(&*self.separator),
        };
        let cell = &line[..end.unwrap_or(line.len())];
        self.at += cell.len();
        cell
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, Unclosed> {
        let opening = self.at;
        let from = opening + 1;
        let mut end = from;
        let mut doubled = false;
        loop {
            let quote = self.text[end..].find('"').ok_or(Unclosed(opening))? + end;
            if !self.text[quote + 1..].starts_with('"') {
                end = quote;
                break;
            }
            doubled = true;
            end = quote + 2;
        }
        self.at = end + 1;
        let (inside, after) = (&self.text[from..end], self.plain());
        if !doubled && after.is_empty() {
            return Ok(inside.into());
        }
        Ok((inside.replace("\"\"", "\"") + after).into())
    }
}

/// Length of the line end that `text` begins with; a lone `\r` counts as one only at the very end.
fn line_end(text: &str) -> Option<usize> {
    if text.starts_with('\n') {
        Some(1)
    } else if text.starts_with("\r\n") {
        Some(2)
    } else if text == "\r" {
        Some(1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, separator: &str) -> Vec<Vec<(String, usize)>> {
        let mut rows = Rows::new(text, separator, true);
        let (mut cells, mut all) = (Vec::new(), Vec::new());
        while rows.next(&mut cells).unwrap() {
            all.push(cells.iter().map(|cell| (cell.text.to_string(), cell.start)).collect());
        }
        all
    }

    fn texts(text: &str, separator: &str) -> Vec<Vec<String>> {
        read(text, separator).into_iter().map(|row| row.into_iter().map(|(text, _)| text).collect()).collect()
    }

    #[test]
    fn quotes_hide_separators_line_ends_and_quotes() {
        assert_eq!(
            texts("1,\"Good, the\"\r\n\n2,\"a \"\"b\"\"\n c\"d\n", ","),
            [["1", "Good, the"], ["2", "a \"b\"\n cd"]]
        );
        assert_eq!(texts("say \"hi\",x", ","), [["say \"hi\"", "x"]]);
    }

    #[test]
    fn separators_may_be_long_and_cells_empty() {
        assert_eq!(texts("1::2::\n::3::4:5", "::"), [["1", "2", ""], ["", "3", "4:5"]]);
        assert_eq!(read("a\tbc\r\nd", "\t"), [vec![("a".into(), 0), ("bc".into(), 2)], vec![("d".into(), 6)]]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_by_place() {
        let mut rows = Rows::new("a,\"b", ",", true);
        assert_eq!(rows.next(&mut Vec::new()), Err(Unclosed(2)));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(rows in prop::collection::vec(prop::collection::vec("[a-z,\"\r\n é]{0,6}", 2..4), 0..6)) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let text: String = rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n").collect();
            prop_assert_eq!(texts(&text, ","), rows);
        }

        #[test]
        fn any_text_ends_and_never_panics(text in "\\PC{0,40}|[,\"\r\n:é]{0,40}", separator in "[,:é]{1,2}", quotes: bool) {
            let mut rows = Rows::new(&text, &separator, quotes);
            let mut cells = Vec::new();
            while rows.next(&mut cells) == Ok(true) {
                prop_assert!(!cells.is_empty());
            }
        }
    }
}
