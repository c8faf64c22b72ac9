//! Files and folders that are either whole or absent, whatever interrupts their writing.
//!
//! Everything is written beside its place under a name with `.part`, flushed to the disk, and renamed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Marks what is being written.
pub(crate) const PART: &str = ".part";
/// Marks what is being replaced.
pub(crate) const OLD: &str = ".old";

/// Writes `contents` to `path`, replacing a file that is there.
///
/// # Errors
/// Whatever the file system says; the file that was there is then untouched.
pub(crate) fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    write_file_with(path, |file| file.write_all(contents))
}

/// Like [`write_file`], for contents that are not in one piece.
///
/// # Errors
/// Those of `write` and of the file system; the file that was there is then untouched.
pub(crate) fn write_file_with<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let part = unique_part(path);
    let written = write_synced(&part, write).and_then(|()| Ok(fs::rename(&part, path)?));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written?;
    Ok(sync_folder(parent(path))?)
}

fn write_synced<E: From<io::Error>>(part: &Path, write: impl FnOnce(&mut File) -> Result<(), E>) -> Result<(), E> {
    let mut file = File::create(part)?;
    write(&mut file)?;
    Ok(file.sync_all()?)
}

/// Moves the finished folder `part` to `place`, replacing a folder that is there.
///
/// An interruption between the two renames leaves `place` with [`OLD`] behind its name: see
/// [`recover_folders`].
///
/// # Errors
/// Whatever the file system says; the folder that was there is then back in place.
pub(crate) fn replace_folder(part: &Path, place: &Path) -> io::Result<()> {
    sync_tree(part)?;
    let old = beside(place, OLD);
    remove_folder(&old)?;
    let replaces = place.exists();
    if replaces {
        fs::rename(place, &old)?;
    }
    if let Err(error) = fs::rename(part, place) {
        if replaces {
            fs::rename(&old, place)?;
        }
        return Err(error);
    }
    sync_folder(parent(place))?;
    remove_folder(&old)
}

/// Undoes what an interruption left in `folder`: unfinished entries go, replaced ones come back if
/// their replacement never arrived. Returns the names of what was removed.
///
/// Only for the one process that writes into `folder`.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn recover_folders(folder: &Path) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let replaced = name.strip_suffix(OLD).map(|whole| folder.join(whole));
        match replaced {
            Some(whole) if !whole.exists() => fs::rename(&path, whole)?,
            None if !name.ends_with(PART) => {}
            _ => {
                remove_folder(&path)?;
                removed.push(name.to_owned());
            }
        }
    }
    Ok(removed)
}

/// Removes a folder with all in it; its absence is no error.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// `path` with `suffix` behind its last name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

/// Flushes every file and folder under `folder`, itself included.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

/// Flushes the names in `folder`, so that a rename outlives a power cut.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn unique_part(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    beside(path, &format!("{PART}-{}-{count}", std::process::id()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn folder_with(path: &Path, text: &str) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("text"), text).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_file(&path, b"first").unwrap();
        let failed = write_file_with(&path, |file| {
            file.write_all(b"sec")?;
            Err(io::Error::other("power cut"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "power cut");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (part, place) = (folder.path().join("x.part"), folder.path().join("x"));
        folder_with(&place, "old");
        folder_with(&part, "new");
        replace_folder(&part, &place).unwrap();
        assert_eq!(fs::read_to_string(place.join("text")).unwrap(), "new");
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn recovery_undoes_every_kind_of_interruption() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        folder_with(&at("half.part"), "half");
        folder_with(&at("between.old"), "kept");
        folder_with(&at("done"), "new");
        folder_with(&at("done.old"), "stale");
        let mut removed = recover_folders(folder.path()).unwrap();
        removed.sort();
        assert_eq!(removed, ["done.old", "half.part"]);
        assert_eq!(names(folder.path()), ["between", "done"]);
        assert_eq!(fs::read_to_string(at("done").join("text")).unwrap(), "new");
    }
}
