//! What can go wrong with a checkpoint.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An error that names the file and what is wrong with it.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The disk refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is cut off or not what its name says.
    #[error("{} is damaged: {reason}; take an earlier checkpoint or a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The checkpoint was written by another version of the host.
    #[error("{} cannot be used: {reason}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Both versions.
        reason: String,
    },
    /// The contents fit the file format but not what they are loaded into.
    #[error("{} does not fit what it is loaded into: {}", path.display(), differences.join("; "))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// One sentence for each difference.
        differences: Vec<String>,
    },
    /// The file format has no place for such a tensor.
    #[error("tensor `{name}` cannot be stored: {reason}")]
    Unstorable {
        /// The tensor.
        name: String,
        /// Why not.
        reason: String,
    },
    /// libtorch refused an operation on a tensor.
    #[error("tensor `{name}`: libtorch: {source}")]
    Torch {
        /// The tensor.
        name: String,
        /// Why.
        source: tch::TchError,
    },
    /// There is no such checkpoint.
    #[error("no checkpoint `{name}` in {}; there is {}", folder.display(), listed(available))]
    Unknown {
        /// Where it was looked for.
        folder: PathBuf,
        /// What was looked for.
        name: String,
        /// What is there.
        available: Vec<String>,
    },
    /// The name could leave the folder or pass for an unfinished checkpoint.
    #[error("`{0}` cannot name a checkpoint: use letters, digits, `-`, `_` and `.`")]
    Name(String),
}

impl CheckpointError {
    pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| CheckpointError::Write { path, source }
    }

    pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| CheckpointError::Read { path, source }
    }

    pub(super) fn damaged(path: &Path, reason: String) -> Self {
        let path = path.to_owned();
        CheckpointError::Damaged { path, reason }
    }

    pub(super) fn torch(name: &str) -> impl FnOnce(tch::TchError) -> Self {
        let name = name.to_owned();
        move |source| CheckpointError::Torch { name, source }
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
