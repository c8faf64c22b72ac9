//! One reading of a data set: every file goes through it, so that report and hash miss none.

use crate::error::DataError;
use crate::hash::ContentHash;
use crate::options::ReadOptions;
use crate::read::folder::{Folder, file_name};
use crate::report::{FileRead, ReadReport};
use std::path::{Path, PathBuf};

/// Reads files, and keeps report and hash.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    /// How to read.
    pub(crate) options: &'a ReadOptions,
    /// What was read.
    pub(crate) report: ReadReport,
    hash: ContentHash,
}

impl<'a> Reading<'a> {
    /// Begins to read `format`.
    pub(crate) fn new(format: &str, options: &'a ReadOptions) -> Self {
        let report = ReadReport { format: format.into(), ..ReadReport::default() };
        Self { options, report, hash: ContentHash::new(options) }
    }

    /// The text of a file, without a byte order mark. What is not UTF-8 is read as Latin-1, with a note.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn text(&mut self, path: &Path) -> Result<String, DataError> {
        let bytes = std::fs::read(path).map_err(DataError::io("read", path))?;
        self.hash.add(&file_name(path), &bytes);
        self.report.files.push(FileRead { path: path.to_owned(), bytes: bytes.len() as u64, records: 0 });
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                self.report.note(format!("{} is not UTF-8 and was read as Latin-1", file_name(path)));
                error.as_bytes().iter().map(|&byte| char::from(byte)).collect()
            }
        };
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    /// Says how many records the file read last has.
    pub(crate) fn records(&mut self, count: usize) {
        if let Some(file) = self.report.files.last_mut() {
            file.records = count;
        }
    }

    /// Finds item codes and embedding matrix; their contents are left to tokenizers, but enter the hash.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn item_features(&mut self, folder: &Folder) -> Result<(Option<PathBuf>, Option<PathBuf>), DataError> {
        let codes = self.found(folder, &["sem_ids"], "item codes")?;
        let embeddings = self.found(folder, &["npy", "safetensors"], "an embedding matrix")?;
        Ok((codes, embeddings))
    }

    /// Report and hash.
    pub(crate) fn finish(self) -> (ReadReport, String) {
        (self.report, self.hash.finish())
    }

    fn found(&mut self, folder: &Folder, extensions: &[&str], what: &str) -> Result<Option<PathBuf>, DataError> {
        let files: Vec<&Path> = extensions.iter().flat_map(|it| folder.with_extension(it)).collect();
        let Some(&file) = files.first() else { return Ok(None) };
        if files.len() > 1 {
            self.report.note(format!("{} files hold {what}; {} is taken", files.len(), file_name(file)));
        }
        let bytes = std::fs::metadata(file).map_err(DataError::io("read", file))?.len();
        self.hash.add_file(file)?;
        self.report.files.push(FileRead { path: file.to_owned(), bytes, records: 0 });
        Ok(Some(file.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn latin_1_and_byte_order_marks_are_tolerated() {
        let folder = tempfile::tempdir().unwrap();
        let (latin, marked) = (folder.path().join("latin"), folder.path().join("marked"));
        std::fs::write(&latin, b"Am\xe9lie").unwrap();
        std::fs::write(&marked, "\u{feff}a").unwrap();
        let options = ReadOptions::default();
        let mut reading = Reading::new("test", &options);
        assert_eq!(reading.text(&latin).unwrap(), "Amélie");
        assert_eq!(reading.text(&marked).unwrap(), "a");
        assert_eq!(reading.report.notes.len(), 1);
        assert_eq!(reading.report.files.len(), 2);
    }
}
