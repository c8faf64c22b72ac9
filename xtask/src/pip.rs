//! Fetching wheels with pip, whose own settings (index, proxy, certificates) hold.

use crate::command::timed;
use crate::libtorch::VERSION;
use crate::lock::Lock;
use crate::wheels::{WHEELS, Wheel, sha256};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pinned files were built for these, whatever Python is here to fetch them.
const PLATFORM: [&str; 14] = [
    "--implementation",
    "cp",
    "--python-version",
    "3.11",
    "--abi",
    "cp311", // the wheel's Python
    "--platform",
    "manylinux_2_28_x86_64",
    "--platform",
    "manylinux_2_25_x86_64", // torch, cupti
    "--platform",
    "manylinux_2_17_x86_64",
    "--platform",
    "manylinux2014_x86_64", // runtime
];

/// Makes sure that all wheels lie, intact, in `folder`/wheels, fetching those that do not.
///
/// # Errors
/// There is no pip, it cannot fetch a file, or a file is not the pinned one.
pub fn fetch(folder: &Path, lock: &Lock) -> Result<Vec<PathBuf>> {
    WHEELS.iter().map(|wheel| fetch_one(wheel, folder, lock)).collect()
}

fn fetch_one(wheel: &Wheel, folder: &Path, lock: &Lock) -> Result<PathBuf> {
    let wheels = folder.join("wheels");
    let path = wheels.join(wheel.file);
    if path.exists() {
        if sha256(&path)? == wheel.sha256 {
            println!("{} {} is already here", wheel.package, wheel.version);
            return Ok(path);
        }
        fs::remove_file(&path).with_context(|| format!("cannot remove the damaged {}", path.display()))?;
    }
    let what = format!("fetching {} {} ({} MB) with pip", wheel.package, wheel.version, wheel.megabytes);
    timed(&what, || download(wheel, folder, &wheels, lock))?;
    let found = sha256(&path)?;
    if found != wheel.sha256 {
        bail!("{} has SHA-256 {found}, but {} is pinned", path.display(), wheel.sha256);
    }
    Ok(path)
}

/// Runs pip for one wheel. Its temporary files go below `folder`, since /tmp is often small, and so
/// that what a killed pip left is cleared here.
fn download(wheel: &Wheel, folder: &Path, wheels: &Path, lock: &Lock) -> Result<()> {
    let temporary = folder.join("tmp");
    let requirements = folder.join("requirements.txt");
    if temporary.exists() {
        fs::remove_dir_all(&temporary).with_context(|| format!("cannot clear {}", temporary.display()))?;
    }
    fs::create_dir_all(&temporary).with_context(|| format!("cannot make {}", temporary.display()))?;
    fs::write(&requirements, wheel.requirement())
        .with_context(|| format!("cannot write {}", requirements.display()))?;

    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-input", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes"]).args(PLATFORM);
    pip.arg("--dest").arg(wheels).arg("--requirement").arg(&requirements);
    if !std::io::stdout().is_terminal() {
        pip.arg("--quiet");
    }
    let status = pip.env("TMPDIR", &temporary).stdin(lock.shared()?).status();
    let status = status.context("cannot start python3, whose pip fetches libtorch: install Python 3 with pip")?;
    if !status.success() {
        bail!(
            "pip did not fetch {} {} ({status}): see its message above, or set LIBTORCH to a libtorch {VERSION}",
            wheel.package,
            wheel.version
        );
    }
    Ok(())
}
