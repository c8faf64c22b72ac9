//! What a libtorch folder has to hold, and the marker of those that set-up made.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The one version that tch's bindings fit.
pub const VERSION: &str = "2.11.0";

/// Raised when set-up lays folders out in another way, so that earlier ones are made anew.
pub const LAYOUT: u32 = 1;

/// Written as the last file into a folder that set-up makes.
const MARKER: &str = "made-by-xtask";

/// In place of the wheel's `libtorch.so`, which asks for CUDA's libraries: `-ltorch` means the CPU
/// part. Where there is a GPU, the host opens libtorch_cuda.so itself.
const LINKER_SCRIPT: &str = "INPUT(libtorch_cpu.so)\n";

/// Headers that say the version, newest place first.
const VERSION_HEADERS: [&str; 2] =
    ["include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h"];

/// Whether a folder can be used.
///
/// # Errors
/// A library or the headers are missing, or they are of another version; the message is a phrase
/// that follows the folder's name.
pub fn inspect(root: &Path) -> Result<()> {
    for library in ["libtorch_cpu.so", "libtorch.so", "libc10.so"] {
        if !root.join("lib").join(library).exists() {
            bail!("has no lib/{library}");
        }
    }
    match version(root) {
        None => bail!("has no {}", VERSION_HEADERS[0]),
        Some(found) if found != VERSION => bail!("holds libtorch {found}, but {VERSION} is needed"),
        Some(_) => Ok(()),
    }
}

/// The version that the headers say.
pub fn version(root: &Path) -> Option<String> {
    VERSION_HEADERS.iter().find_map(|header| version_in(&fs::read_to_string(root.join(header)).ok()?))
}

/// Reads `#define TORCH_VERSION_MAJOR 2` and its two companions.
fn version_in(header: &str) -> Option<String> {
    let part = |name: &str| {
        header.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == "#define" && words.next()? == name).then(|| words.next()?.parse::<u32>().ok())?
        })
    };
    let (major, minor) = (part("TORCH_VERSION_MAJOR")?, part("TORCH_VERSION_MINOR")?);
    Some(format!("{major}.{minor}.{}", part("TORCH_VERSION_PATCH")?))
}

/// Whether set-up made the folder, in this version or an earlier one.
pub fn is_made_by_us(root: &Path) -> bool {
    root.join(MARKER).exists()
}

/// Whether a folder that set-up made is of the present version and complete.
///
/// # Errors
/// As for [`inspect`]; also when it was laid out otherwise, or when a link in it leads nowhere
/// since the Python it leads to has gone.
pub fn inspect_made(root: &Path) -> Result<()> {
    let marker = fs::read_to_string(root.join(MARKER)).context("has no marker")?;
    if !marker.starts_with(&marker_start()) {
        bail!("was made by another version of the project");
    }
    for entry in fs::read_dir(root.join("lib")).context("has no lib/")? {
        let path = entry?.path();
        fs::metadata(&path).with_context(|| format!("has a link that leads nowhere: {}", path.display()))?;
    }
    inspect(root)
}

/// Completes a folder that has the libraries and headers: linker script, checks, marker.
///
/// # Errors
/// It cannot be written, [`inspect`] rejects it, or it cannot be loaded on this machine.
pub fn finish(root: &Path, origin: &str) -> Result<()> {
    let script = root.join("lib/libtorch.so");
    fs::write(&script, LINKER_SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
    inspect(root).with_context(|| format!("{} is not complete", root.display()))?;
    load(root)?;
    let marker = root.join(MARKER);
    fs::write(&marker, format!("{}{origin}\n", marker_start()))
        .with_context(|| format!("cannot write {}", marker.display()))
}

/// What every marker of this layout starts with; the origin follows.
fn marker_start() -> String {
    format!("libtorch {VERSION}, layout {LAYOUT}, from ")
}

/// Opens the library in a Python of its own, to learn now what would else fail at the first run: a
/// C library that is too old, a dependency that is not there.
fn load(root: &Path) -> Result<()> {
    const SCRIPT: &str = "
import sys
try:
    import ctypes
except ImportError:
    sys.exit()
try:
    ctypes.CDLL(sys.argv[1])
except OSError as error:
    sys.exit(str(error))
";
    let library = root.join("lib/libtorch_cpu.so");
    let python = Command::new("python3").args(["-c", SCRIPT]).arg(&library).output().context("cannot start python3")?;
    if !python.status.success() {
        bail!("libtorch does not load on this machine: {}", String::from_utf8_lossy(&python.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "#pragma once\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
        #define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION_ABI_TAG 0\n";

    /// A folder that looks like libtorch of the version the header says.
    fn folder(header: &str) -> Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        fs::create_dir_all(folder.path().join("include/torch/headeronly"))?;
        fs::create_dir_all(folder.path().join("lib"))?;
        fs::write(folder.path().join(VERSION_HEADERS[0]), header)?;
        for library in ["libtorch_cpu.so", "libtorch.so", "libc10.so"] {
            fs::write(folder.path().join("lib").join(library), "")?;
        }
        Ok(folder)
    }

    fn text(result: Result<()>) -> String {
        result.map_or_else(|error| format!("{error:#}"), |()| "fine".into())
    }

    #[test]
    fn version_is_read_from_its_three_lines() {
        assert_eq!(version_in(HEADER).as_deref(), Some("2.11.0"));
        assert_eq!(version_in("#include <torch/headeronly/version.h>"), None);
        assert_eq!(version_in("#define TORCH_VERSION_MAJOR two"), None);
    }

    #[test]
    fn another_version_is_told_with_both_values() -> Result<()> {
        assert_eq!(text(inspect(folder(HEADER)?.path())), "fine");
        let old = folder(&HEADER.replace("11", "5"))?;
        assert_eq!(text(inspect(old.path())), "holds libtorch 2.5.0, but 2.11.0 is needed");
        Ok(())
    }

    #[test]
    fn missing_library_is_named() -> Result<()> {
        let folder = folder(HEADER)?;
        fs::remove_file(folder.path().join("lib/libc10.so"))?;
        assert_eq!(text(inspect(folder.path())), "has no lib/libc10.so");
        Ok(())
    }

    #[test]
    fn marker_of_another_layout_does_not_count() -> Result<()> {
        let folder = folder(HEADER)?;
        assert!(!is_made_by_us(folder.path()));
        fs::write(folder.path().join(MARKER), format!("{}wheels\n", marker_start()))?;
        assert!(is_made_by_us(folder.path()));
        assert_eq!(text(inspect_made(folder.path())), "fine");
        fs::write(folder.path().join(MARKER), "libtorch 2.11.0, layout 0, from wheels\n")?;
        assert_eq!(text(inspect_made(folder.path())), "was made by another version of the project");
        Ok(())
    }

    #[test]
    fn link_to_a_python_that_has_gone_is_seen() -> Result<()> {
        let folder = folder(HEADER)?;
        fs::write(folder.path().join(MARKER), marker_start())?;
        std::os::unix::fs::symlink("/nowhere/libgomp.so.1", folder.path().join("lib/libgomp.so.1"))?;
        assert!(text(inspect_made(folder.path())).starts_with("has a link that leads nowhere"));
        Ok(())
    }
}
