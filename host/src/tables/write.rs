//! A table in files.

use super::Table;
use crate::durable;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An error of a table.
#[derive(Debug, Error)]
pub enum TableError {
    /// The table cannot be put in CSV.
    #[error("cannot write the table as CSV: {0}")]
    Csv(String),
    /// The disk refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl TableError {
    pub(super) fn csv(error: impl ToString) -> Self {
        TableError::Csv(error.to_string())
    }

    fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| TableError::Write { path, source }
    }
}

impl Table {
    /// Writes `name.md`, `name.csv` and `name.json` into `folder`, which is created if need be; each
    /// file is whole or as it was.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), TableError> {
        write_file(folder, &format!("{name}.md"), &self.to_markdown())?;
        write_file(folder, &format!("{name}.json"), &format!("{:#}\n", self.to_json()))?;
        self.write_csv(folder, name)
    }

    /// Writes `name.csv` only: for large tables that no one reads by eye.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write_csv(&self, folder: &Path, name: &str) -> Result<(), TableError> {
        write_file(folder, &format!("{name}.csv"), &self.to_csv()?)
    }
}

fn write_file(folder: &Path, name: &str, text: &str) -> Result<(), TableError> {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| durable::write_file(&path, text.as_bytes()));
    written.map_err(TableError::writing(&path))
}
