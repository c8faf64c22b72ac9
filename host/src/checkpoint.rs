//! Checkpoints: folders of tensors and state that are either whole or absent.
//!
//! ```text
//! checkpoints/step-00000120/
//!   model.safetensors  optimiser.safetensors  algorithm.safetensors  state.json
//! ```
//! A checkpoint is written as `<name>.part`, flushed to the disk and renamed. Random generators are
//! not part of it: streams follow from seed and step (see [`random_streams`](crate::random_streams)).

mod error;
mod keep;
mod restore;
mod tensor_file;

pub use error::CheckpointError;
pub use keep::{Keep, Retention};
pub use restore::copy_into;
pub(crate) use tensor_file::bytes_of;
pub use tensor_file::{Loaded, NamedTensor, load, save};

use crate::durable::{self, OLD, PART};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

type Result<T, E = CheckpointError> = std::result::Result<T, E>;

const STATE: &str = "state.json";
const VERSION: u32 = 1;

/// What a checkpoint is made of.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The policy's parameters and buffers.
    pub model: &'a [NamedTensor],
    /// The optimiser's moments.
    pub optimiser: &'a [NamedTensor],
    /// What the algorithm keeps from step to step.
    pub algorithm: &'a [NamedTensor],
    /// Step, loader position, best score and the like.
    pub state: &'a Value,
}

/// A checkpoint in memory, its tensors on the CPU.
#[derive(Debug)]
pub struct Checkpoint {
    /// The policy's parameters and buffers.
    pub model: Loaded,
    /// The optimiser's moments.
    pub optimiser: Loaded,
    /// What the algorithm keeps from step to step.
    pub algorithm: Loaded,
    /// Step, loader position, best score and the like.
    pub state: Value,
}

/// The contents of `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile {
    version: u32,
    state: Value,
}

/// A folder of checkpoints.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in `folder`, which need not exist yet. Nothing is read or written.
    pub fn at(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder }
    }

    /// The name of the checkpoint after `step`: `step-00000120`.
    pub fn step_name(step: u64) -> String {
        format!("step-{step:08}")
    }

    /// Cleans up after an interrupted write and creates the folder. To be called once by the one
    /// process that writes, before it reads.
    ///
    /// # Errors
    /// If the folder cannot be created, read or changed.
    pub fn recover(&self) -> Result<()> {
        let recover = || {
            fs::create_dir_all(&self.folder)?;
            durable::recover_folders(&self.folder)
        };
        let removed = recover().map_err(CheckpointError::writing(&self.folder))?;
        for name in removed {
            log::warn!("removed {name}, which was never finished, from {}", self.folder.display());
        }
        Ok(())
    }

    /// Writes the checkpoint `name`, replacing one of that name, and returns its folder.
    ///
    /// # Errors
    /// For a name that is no plain file name, tensors of a kind that cannot be stored, or a failing
    /// disk; a checkpoint of that name that was there is then still there.
    pub fn save(&self, name: &str, contents: &Contents) -> Result<PathBuf> {
        let place = self.place(name)?;
        let part = durable::beside(&place, PART);
        let start = || {
            durable::remove_folder(&part)?;
            fs::create_dir_all(&part)
        };
        start().map_err(CheckpointError::writing(&part))?;
        write_contents(&part, contents)?;
        durable::replace_folder(&part, &place).map_err(CheckpointError::writing(&place))?;
        Ok(place)
    }

    /// Reads the checkpoint `name`.
    ///
    /// # Errors
    /// If there is none of that name, or one of its files is missing, cut off or not understood.
    pub fn load(&self, name: &str) -> Result<Checkpoint> {
        let place = self.place(name)?;
        if !place.is_dir() {
            return Err(CheckpointError::Unknown {
                folder: self.folder.clone(),
                name: name.to_owned(),
                available: self.names()?,
            });
        }
        load_folder(&place)
    }

    /// The names of all checkpoints, sorted: steps in their order.
    ///
    /// # Errors
    /// If the folder exists and cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
            entries => entries.map_err(CheckpointError::reading(&self.folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(CheckpointError::reading(&self.folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_plain(&name) && entry.path().join(STATE).is_file() {
                names.push(name);
            }
        }
        names.sort_by_key(|name| (step_of(name), name.clone()));
        Ok(names)
    }

    /// The numbered checkpoints' steps, in order.
    ///
    /// # Errors
    /// If the folder exists and cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        Ok(self.names()?.iter().filter_map(|name| step_of(name)).collect())
    }

    /// The name of the checkpoint of the highest step.
    ///
    /// # Errors
    /// If the folder exists and cannot be read.
    pub fn latest(&self) -> Result<Option<String>> {
        Ok(self.steps()?.last().map(|step| Self::step_name(*step)))
    }

    /// Removes the numbered checkpoints that `retention` gives up; named ones stay.
    ///
    /// # Errors
    /// If the folder cannot be read or changed.
    pub fn prune(&self, retention: &dyn Retention) -> Result<()> {
        for step in retention.given_up(&self.steps()?) {
            let place = self.place(&Self::step_name(step))?;
            let part = durable::beside(&place, PART);
            // Renamed first: half a checkpoint must not bear a checkpoint's name.
            let remove = || {
                durable::remove_folder(&part)?;
                fs::rename(&place, &part)?;
                durable::remove_folder(&part)
            };
            remove().map_err(CheckpointError::writing(&place))?;
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        match is_plain(name) {
            true => Ok(self.folder.join(name)),
            false => Err(CheckpointError::Name(name.to_owned())),
        }
    }
}

/// Reads the checkpoint that is the folder `place`.
///
/// # Errors
/// If one of its files is missing, cut off or not understood.
pub fn load_folder(place: &Path) -> Result<Checkpoint> {
    let path = place.join(STATE);
    let text = fs::read(&path).map_err(CheckpointError::reading(&path))?;
    let file: StateFile =
        serde_json::from_slice(&text).map_err(|error| CheckpointError::damaged(&path, error.to_string()))?;
    if file.version != VERSION {
        let reason = format!("it is of version {}, and this host reads version {VERSION}", file.version);
        return Err(CheckpointError::Version { path, reason });
    }
    Ok(Checkpoint {
        model: load(&place.join("model.safetensors"))?,
        optimiser: load(&place.join("optimiser.safetensors"))?,
        algorithm: load(&place.join("algorithm.safetensors"))?,
        state: file.state,
    })
}

fn write_contents(part: &Path, contents: &Contents) -> Result<()> {
    let Contents { model, optimiser, algorithm, state } = contents;
    for (name, tensors) in [("model", model), ("optimiser", optimiser), ("algorithm", algorithm)] {
        let path = part.join(format!("{name}.safetensors"));
        tensor_file::write(&path, tensors, &Value::Null)?;
    }
    let file = StateFile { version: VERSION, state: (*state).clone() };
    tensor_file::write_json(&part.join(STATE), &file)
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}

/// A name that cannot leave the folder or pass for an unfinished one.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty()
        && name.chars().all(plain)
        && !name.starts_with('.')
        && !name.ends_with(PART)
        && !name.ends_with(OLD)
}

#[cfg(test)]
mod tests;
