//! The one form of a data set that everything downstream uses.

use crate::catalogue::Catalogue;
use crate::coherent::{self, RunRules};
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::report::ReadReport;
use crate::sequences::Sequences;
use crate::statistics::Stats;
use crate::{description, read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A prompt and a reference path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// The user, where the data name one.
    pub user: Option<Arc<str>>,
    /// What the user did last, oldest first; at most `history` items, at least one.
    pub history: Vec<u32>,
    /// Items between history and target, without the target; may be empty.
    pub path: Vec<u32>,
    /// Where the path leads.
    pub target: u32,
}

impl Example {
    /// Path and target.
    pub fn path_and_target(&self) -> impl Iterator<Item = u32> {
        self.path.iter().copied().chain([self.target])
    }
}

/// A data set.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The files' common name, e.g. `ml-1m`.
    pub name: String,
    /// The items.
    pub catalogue: Catalogue,
    /// Examples to learn from.
    pub train: Vec<Example>,
    /// Examples to select on.
    pub validation: Vec<Example>,
    /// Examples to report on. Their targets are drawn at random; their paths are coherent, but lead elsewhere.
    pub test: Vec<Example>,
    /// Sequences that reward models learn from: of published files, history, path and target of every training record;
    /// of raw interactions, the whole sequence of every training user.
    pub sequences: Sequences,
    /// Users of the whole data set, as far as the files tell.
    pub users: usize,
    /// Interactions of the whole data set that were kept; of published files, items of all training sequences.
    pub interactions: usize,
    /// The data set's own item codes (`.sem_ids`), if it has any.
    pub semantic_ids: Option<PathBuf>,
    /// The data set's own embedding matrix (`.npy` or `.safetensors`), if it has one.
    pub embeddings: Option<PathBuf>,
    /// What was read and what was left out.
    pub report: ReadReport,
    pub(crate) hash: String,
}

impl Dataset {
    /// Reads the data set in a folder.
    ///
    /// # Errors
    /// The options make no sense, the folder holds no known format, or a file is missing, unreadable or malformed; the
    /// message names file, line and column.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        options.check()?;
        read::open(path, options)
    }

    /// An example of every coherent run inside the training sequences, whatever precedes it
    /// ([`coherent::sub_runs`]). Lengths in items; `max_run` counts the target too.
    pub fn sub_runs(&self, history: usize, max_run: usize) -> Vec<Example> {
        let rules = RunRules { history, min_run: 2, max_run };
        let coherent = |a, b| self.catalogue.share_attribute(a, b);
        let examples = self.sequences.iter().flat_map(|items| {
            coherent::sub_runs(items, coherent, rules).filter_map(|cut| {
                let (&target, path) = items[cut.run].split_last()?;
                Some(Example { user: None, history: items[cut.history].to_vec(), path: path.to_vec(), target })
            })
        });
        examples.collect()
    }

    /// SHA-256 over the files read and the options, as hexadecimal digits. Equal hashes mean equal data sets.
    pub fn hash(&self) -> String {
        self.hash.clone()
    }

    /// Figures about the data set.
    pub fn stats(&self) -> Stats {
        Stats::of(self)
    }

    /// Figures, what was read and what was left out, as an aligned text of several lines.
    pub fn describe(&self) -> String {
        description::describe(self)
    }
}
