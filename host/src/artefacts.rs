//! Artefacts of earlier stages, reused by later runs when all that determined them is the same.
//!
//! ```text
//! cache/<stage>/<hash>/         what the stage built, and inputs.json, a record for people
//! cache/<stage>/<hash>.lock     held while it is built
//! ```

mod hashing;

pub use hashing::{canonical_json, hash_bytes, hash_file, hash_folder, tensor_hash};

use crate::durable::{self, PART};
use serde_json::{Value, json};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

const RECORD: &str = "inputs.json";
/// Digits of the hash in a folder's name: 80 bits.
const DIGITS: usize = 20;

/// An error of the cache.
#[derive(Debug, Error)]
pub enum ArtefactError {
    /// The cache's folder cannot be read or written.
    #[error("cannot keep artefacts at {}: {source}", path.display())]
    Disk {
        /// The file or folder concerned.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ArtefactError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| ArtefactError::Disk { path, source }
    }
}

/// What determines an artefact, and the hash of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    stage: String,
    inputs: Value,
    hash: String,
}

/// The key of what `stage` builds from `inputs`.
///
/// `inputs` must name all that the result depends on: the plugin's library hash and version, the
/// data's hash, the settings, the seed, the keys of artefacts built upon. The order of names in it
/// does not matter.
pub fn key(stage: &str, inputs: &Value) -> Key {
    let all = json!({"format": 1, "stage": stage, "inputs": inputs});
    Key { stage: stage.to_owned(), inputs: inputs.clone(), hash: hash_bytes(canonical_json(&all).as_bytes()) }
}

impl Key {
    /// SHA-256 in 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The stage that builds it.
    pub fn stage(&self) -> &str {
        &self.stage
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.stage, &self.hash[..DIGITS])
    }
}

/// A folder of artefacts.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is created when something is built.
    pub fn new(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder }
    }

    /// Where the artefact of `key` is, if it is there.
    pub fn find(&self, key: &Key) -> Option<PathBuf> {
        let place = self.place(key);
        place.join(RECORD).is_file().then_some(place)
    }

    /// Where the artefact of `key` is, after `build` made it in the folder it is given if it was
    /// not there. A line in the log says when it is reused.
    ///
    /// Of two processes that want the same artefact one builds and the other waits for it.
    ///
    /// # Errors
    /// Those of `build`, after which nothing is kept, and [`ArtefactError`] if the disk refuses.
    pub fn get_or<E: From<ArtefactError>>(
        &self,
        key: &Key,
        build: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        if let Some(place) = self.reuse(key) {
            return Ok(place);
        }
        let lock = self.lock(key)?;
        if let Some(place) = self.reuse(key) {
            return Ok(place);
        }
        let part = self.start(key, lock.is_some())?;
        let built = build(&part).and_then(|()| Ok(self.put(key, &part)?));
        if built.is_err() {
            // The first error is the one to tell.
            let _ = durable::remove_folder(&part);
        }
        built
    }

    fn place(&self, key: &Key) -> PathBuf {
        self.folder.join(&key.stage).join(&key.hash[..DIGITS])
    }

    fn reuse(&self, key: &Key) -> Option<PathBuf> {
        let place = self.find(key)?;
        let built = built_at(&place).unwrap_or_else(|| "earlier".to_owned());
        log::info!("{}: reusing {} (built {built})", key.stage, place.display());
        Some(place)
    }

    /// Waits for another process that builds the same. None where the file system has no locks: the
    /// first to finish then wins.
    fn lock(&self, key: &Key) -> Result<Option<File>, ArtefactError> {
        let path = durable::beside(&self.place(key), ".lock");
        let stage = self.folder.join(&key.stage);
        fs::create_dir_all(&stage).map_err(ArtefactError::at(&stage))?;
        let file = File::create(&path).map_err(ArtefactError::at(&path))?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                log::info!("{}: waiting for another process that builds {key}", key.stage);
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        if let Err(error) = locked {
            log::debug!("no lock on {}: {error}", path.display());
            return Ok(None);
        }
        Ok(Some(file))
    }

    fn start(&self, key: &Key, alone: bool) -> Result<PathBuf, ArtefactError> {
        let place = self.place(key);
        if alone {
            clean(&place).map_err(ArtefactError::at(&place))?;
        }
        let part = durable::beside(&place, &format!("{PART}-{}", std::process::id()));
        fs::create_dir_all(&part).map_err(ArtefactError::at(&part))?;
        Ok(part)
    }

    fn put(&self, key: &Key, part: &Path) -> Result<PathBuf, ArtefactError> {
        let place = self.place(key);
        let record = json!({
            "stage": key.stage,
            "hash": key.hash,
            "built": jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            "inputs": key.inputs,
        });
        let write = || {
            let text = serde_json::to_vec_pretty(&record)?;
            durable::write_file(&part.join(RECORD), &text)?;
            match place.join(RECORD).is_file() {
                true => durable::remove_folder(part),
                false => durable::replace_folder(part, &place),
            }
        };
        write().map_err(ArtefactError::at(&place))?;
        Ok(place)
    }
}

fn built_at(place: &Path) -> Option<String> {
    let record: Value = serde_json::from_slice(&fs::read(place.join(RECORD)).ok()?).ok()?;
    Some(record.get("built")?.as_str()?.to_owned())
}

/// Removes what interrupted builds of `place` left; only while its lock is held.
fn clean(place: &Path) -> io::Result<()> {
    let (Some(stage), Some(name)) = (place.parent(), place.file_name()) else {
        return Ok(());
    };
    let start = format!("{}{PART}-", name.to_string_lossy());
    for entry in fs::read_dir(stage)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            durable::remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn build(folder: &Path) -> Result<(), anyhow::Error> {
        Ok(fs::write(folder.join("codes"), "1 2 3")?)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_there_is_reused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let key = key("codes", &json!({"seed": 1}));
        assert_eq!(cache.find(&key), None);
        let place = cache.get_or(&key, build).unwrap();
        assert_eq!(fs::read_to_string(place.join("codes")).unwrap(), "1 2 3");
        let again = cache.get_or(&key, |_| anyhow::bail!("built twice")).unwrap();
        assert_eq!(again, place);
        let record: Value = serde_json::from_slice(&fs::read(place.join(RECORD)).unwrap()).unwrap();
        assert_eq!(record["inputs"]["seed"], 1);
        assert_eq!(record["hash"], key.hash());
    }

    #[test]
    fn a_failed_build_leaves_nothing_and_an_interrupted_one_is_cleaned() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let key = key("codes", &json!(1));
        let failed: Result<_, anyhow::Error> = cache.get_or(&key, |part| {
            build(part)?;
            anyhow::bail!("diverged")
        });
        assert_eq!(failed.unwrap_err().to_string(), "diverged");
        assert_eq!(cache.find(&key), None);
        let stage = folder.path().join("codes");
        let name = key.hash()[..DIGITS].to_owned();
        fs::create_dir(stage.join(format!("{name}.part-1"))).unwrap();
        cache.get_or(&key, build).unwrap();
        assert_eq!(names(&stage), [name.clone(), format!("{name}.lock")]);
    }

    #[test]
    fn whoever_comes_second_waits_and_reuses() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, key) = (Cache::new(folder.path()), key("codes", &json!(1)));
        let builds = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let place = cache.get_or(&key, |part| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(30));
                        build(part)
                    });
                    assert!(place.unwrap().join("codes").is_file());
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }

    #[test]
    fn everything_in_the_inputs_counts_but_their_order() {
        let parse = |text: &str| key("codes", &serde_json::from_str(text).unwrap());
        let one = parse(r#"{"a": {"x": 1, "y": [2, 3]}, "b": null}"#);
        assert_eq!(one, parse(r#"{"b": null, "a": {"y": [2, 3], "x": 1}}"#));
        assert_ne!(one.hash(), parse(r#"{"a": {"x": 1, "y": [3, 2]}, "b": null}"#).hash());
        assert_ne!(one.hash(), key("other", &one.inputs).hash());
        assert_eq!(one.hash().len(), 64);
    }

    #[test]
    fn an_unwritable_cache_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let key = key("codes", &json!(1));
        let error: anyhow::Error = Cache::new(&file).get_or(&key, build).unwrap_err();
        assert!(error.to_string().starts_with("cannot keep artefacts at "), "{error}");
    }
}
