//! One run, one folder: `runs/<dataset>/<time>-<hash>/`.
//!
//! ```text
//! settings.toml   the resolved configuration      checkpoints/   what to resume from
//! origins.txt     where each setting came from    tables/        results
//! manifest.json   who, when, where, with what     tensorboard/   events
//! metrics.jsonl   what was measured               run.lock       held while a process works here
//! ```
//! What tells where results come from is written first; if that fails, there is no run.

mod manifest;

pub(crate) use manifest::utc_time;
pub use manifest::{Git, LIBTORCH_VERSION, Machine, Manifest, PluginOrigin, Resumption};

use crate::artefacts::hash_bytes;
use crate::durable;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

const MANIFEST: &str = "manifest.json";
const SETTINGS: &str = "settings.toml";
const ORIGINS: &str = "origins.txt";

/// An error of a run's folder.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// The disk refused.
    #[error("cannot write {}: {source}; a run does not start without its records", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The run's records cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Nothing to resume.
    #[error("no run in {}: give a run's folder, or one that holds runs", .0.display())]
    NoRun(PathBuf),
    /// Two processes would write into one run.
    #[error("another process is working in {}: wait for it or stop it", .0.display())]
    Busy(PathBuf),
}

impl RunFolderError {
    fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| RunFolderError::Write { path, source }
    }

    fn reading(path: &Path, reason: impl ToString) -> Self {
        let (path, reason) = (path.to_owned(), reason.to_string());
        RunFolderError::Read { path, reason }
    }
}

type Result<T, E = RunFolderError> = std::result::Result<T, E>;

/// A run's folder. One that was created or resumed is locked until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes `root/<dataset>/<time>-<hash>/` and writes the run's records into it. The hash is of
    /// settings, data and seed, so that repetitions are seen. `root/<dataset>/latest` points to it
    /// where the file system can.
    ///
    /// # Errors
    /// If anything of it cannot be written; nothing stays behind then.
    pub fn create(root: &Path, dataset: &str, settings: &str, origins: &str, manifest: &Manifest) -> Result<Self> {
        let parent = root.join(dataset);
        fs::create_dir_all(&parent).map_err(RunFolderError::writing(&parent))?;
        let path = claim(&parent, &run_name(settings, manifest))?;
        let records = [(SETTINGS, settings), (ORIGINS, origins)];
        if let Err(error) = write_records(&path, &records, manifest) {
            // The first error is the one to tell.
            let _ = durable::remove_folder(&path);
            return Err(error);
        }
        point_latest(&parent, &path);
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Takes up the run in `path`, or the latest of the runs in or one below the folder `path`.
    ///
    /// # Errors
    /// If there is none, or another process is working in it.
    pub fn resume(path: &Path) -> Result<Self> {
        let path = find(path)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The same to read only: without a lock, for reports and for processes other than the first.
    ///
    /// # Errors
    /// If there is no run.
    pub fn view(path: &Path) -> Result<Self> {
        let path = find(path)?;
        Ok(Self { path, _lock: None })
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The folder of result tables.
    pub fn tables(&self) -> PathBuf {
        self.path.join("tables")
    }

    /// The folder of TensorBoard events.
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// The file of metrics.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The text of the run's resolved configuration.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn settings(&self) -> Result<String> {
        let path = self.path.join(SETTINGS);
        fs::read_to_string(&path).map_err(|error| RunFolderError::reading(&path, error))
    }

    /// The run's manifest.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn manifest(&self) -> Result<Manifest> {
        let path = self.path.join(MANIFEST);
        let text = fs::read(&path).map_err(|error| RunFolderError::reading(&path, error))?;
        serde_json::from_slice(&text).map_err(|error| RunFolderError::reading(&path, error))
    }

    /// Notes in the manifest that the run was resumed, now and by this command.
    ///
    /// # Errors
    /// If the manifest cannot be read or written.
    pub fn record_resumption(&self) -> Result<()> {
        let mut manifest = self.manifest()?;
        manifest.resumed.push(Resumption::now());
        write_manifest(&self.path, &manifest)
    }
}

/// `2026-11-23T06-20-00-1f3a5c7e`
fn run_name(settings: &str, manifest: &Manifest) -> String {
    let Manifest { started, seed, data_hash, .. } = manifest;
    let hash = hash_bytes(format!("{seed}\n{data_hash}\n{settings}").as_bytes());
    format!("{started}-{}", &hash[..8])
}

/// Creates a folder of its own, numbered if two runs start within a second.
fn claim(parent: &Path, name: &str) -> Result<PathBuf> {
    let mut path = parent.join(name);
    for count in 2_u32.. {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{name}-{count}"));
            }
            created => {
                created.map_err(RunFolderError::writing(&path))?;
                break;
            }
        }
    }
    Ok(path)
}

fn write_records(path: &Path, texts: &[(&str, &str)], manifest: &Manifest) -> Result<()> {
    for folder in ["checkpoints", "tables"] {
        let folder = path.join(folder);
        fs::create_dir(&folder).map_err(RunFolderError::writing(&folder))?;
    }
    for (name, text) in texts {
        let file = path.join(name);
        durable::write_file(&file, text.as_bytes()).map_err(RunFolderError::writing(&file))?;
    }
    // Last, as it makes the folder a run.
    write_manifest(path, manifest)
}

fn write_manifest(path: &Path, manifest: &Manifest) -> Result<()> {
    let file = path.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::from);
    let written = text.and_then(|text| durable::write_file(&file, &text));
    written.map_err(RunFolderError::writing(&file))
}

fn lock(path: &Path) -> Result<Option<File>> {
    let file = path.join("run.lock");
    let lock = File::create(&file).map_err(RunFolderError::writing(&file))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(RunFolderError::Busy(path.to_owned())),
        Err(TryLockError::Error(error)) => {
            log::debug!("no lock on {}: {error}", file.display());
            Ok(None)
        }
    }
}

/// The run at `path`, or the one with the latest name among the folders in it or one below.
fn find(path: &Path) -> Result<PathBuf> {
    if is_run(path) {
        return Ok(path.to_owned());
    }
    let children = folders(path);
    let grandchildren = children.iter().flat_map(|child| folders(child));
    let runs = children.iter().cloned().chain(grandchildren);
    runs.filter(|path| is_run(path))
        .max_by_key(|path| path.file_name().map(|name| name.to_owned()))
        .ok_or_else(|| RunFolderError::NoRun(path.to_owned()))
}

fn is_run(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
}

/// The folders in `path`, links to folders left out; none if it cannot be read.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// A convenience for people: its failure is no error.
fn point_latest(parent: &Path, path: &Path) {
    let (Some(name), latest) = (path.file_name(), parent.join("latest")) else {
        return;
    };
    #[cfg(unix)]
    let pointed = {
        let fresh = durable::beside(&latest, durable::PART);
        let _ = fs::remove_file(&fresh);
        std::os::unix::fs::symlink(name, &fresh).and_then(|()| fs::rename(&fresh, &latest))
    };
    #[cfg(not(unix))]
    let pointed = fs::write(&latest, name.to_string_lossy().as_bytes());
    if let Err(error) = pointed {
        log::debug!("no link {}: {error}", latest.display());
    }
}

#[cfg(test)]
mod tests;
