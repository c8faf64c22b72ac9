//! What can go wrong with data, in sentences that say what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Data could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {}: {source}", file.display())]
    Io {
        /// What was tried, e.g. `read`.
        doing: &'static str,
        /// On which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's text is not of its format.
    #[error("{}:{place}: {problem}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A folder holds nothing that could be read.
    #[error("{}: {problem}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What was looked for and what to do.
        problem: String,
    },
    /// An option makes no sense.
    #[error("option `{option}`: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// A place in a text file; everything counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// Record of a JSON list, where a file is one long line.
    pub record: Option<usize>,
}

impl Place {
    /// The place of byte `offset` of `text`; an offset past the end means the end.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1, record: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)?;
        self.record.map_or(Ok(()), |record| write!(f, " (record {record})"))
    }
}

impl DataError {
    /// Wraps what the system said about `file`.
    pub(crate) fn io(doing: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { doing, file, source }
    }

    /// A problem at byte `offset` of `text`, the content of `file`.
    pub(crate) fn at(file: &Path, text: &str, offset: usize, problem: impl Into<String>) -> Self {
        Self::Malformed { file: file.to_owned(), place: Place::of(text, offset), problem: problem.into() }
    }

    /// A problem with a whole folder.
    pub(crate) fn folder(folder: &Path, problem: impl Into<String>) -> Self {
        Self::Folder { folder: folder.to_owned(), problem: problem.into() }
    }

    /// A problem with an option.
    pub(crate) fn option(option: &'static str, problem: impl Into<String>) -> Self {
        Self::Option { option, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let text = "añb\nç,d";
        assert_eq!(Place::of(text, 0).to_string(), "1:1");
        assert_eq!(Place::of(text, 3).to_string(), "1:3");
        assert_eq!(Place::of(text, 7).to_string(), "2:2");
        assert_eq!(Place::of(text, 999).to_string(), "2:4");
        assert_eq!(Place { record: Some(3), ..Place::of(text, 0) }.to_string(), "1:1 (record 3)");
    }
}
