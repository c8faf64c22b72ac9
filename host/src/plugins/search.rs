//! Where plugins are looked for.
//!
//! In this order, and the first library with a component's name wins: files and folders given with
//! `--plugin`; the folders of `PRORL_PLUGIN_PATH`; the user's folder; linked into the binary; beside it. The current folder is
//! never searched unasked, not even where the variable holds an empty entry. Where a folder offers the same component
//! as an earlier one, a message names both libraries.

use super::{PluginError, Result};
use std::path::{Path, PathBuf};

/// Environment variable with folders, separated as in `PATH`.
pub const PATH_VARIABLE: &str = "PRORL_PLUGIN_PATH";

const EXTENSION: &str = std::env::consts::DLL_EXTENSION;

/// All candidate files that the user chose, by naming or installing them, in the order of precedence.
///
/// # Errors
/// A file or folder that the user named cannot be read.
pub fn chosen(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() { files.extend(in_folder(path, "")?) } else { files.push(path.clone()) }
    }
    let listed = std::env::var_os(PATH_VARIABLE);
    for folder in listed.iter().flat_map(std::env::split_paths).filter(|folder| !folder.as_os_str().is_empty()) {
        files.extend(in_folder(&folder, "")?);
    }
    if let Some(folder) = user_folder().filter(|folder| folder.is_dir()) {
        files.extend(in_folder(&folder, "")?);
    }
    Ok(files)
}

/// All candidate files beside the binary; they come after those that the user chose.
///
/// # Errors
/// The binary's folder cannot be read.
pub fn bundled() -> Result<Vec<PathBuf>> {
    binary_folder().map_or_else(|| Ok(Vec::new()), |folder| in_folder(&folder, "libprorl_plugin_"))
}

/// `$XDG_DATA_HOME/prorl-host/plugins`, else `~/.local/share/prorl-host/plugins`.
pub fn user_folder() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")))?;
    Some(data.join("prorl-host/plugins"))
}

/// Whether the file's name is that of a shared library.
pub fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
}

/// Folder of the running binary; a test binary lies one folder below the plugins.
pub fn binary_folder() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().map(Path::to_owned)
    } else {
        Some(folder)
    }
}

fn in_folder(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let fail = |source| PluginError::Search { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        if named && is_library(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_gives_its_libraries_in_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.so", "a.so", "a.d", "liba.rlib"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names = in_folder(folder.path(), "").unwrap();
        assert_eq!(names, [folder.path().join("a.so"), folder.path().join("b.so")]);
    }

    #[test]
    fn a_folder_that_is_absent_is_named() {
        let error = chosen(&["/nowhere/plugins.so".into()]).unwrap();
        assert_eq!(error[0], PathBuf::from("/nowhere/plugins.so"));
    }
}
