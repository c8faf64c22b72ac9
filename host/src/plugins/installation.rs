//! `plugin install` and `plugin pack`: a library into the user's plugin folder, or into a file to hand on.
//!
//! The library is opened by a process of its own; this one only copies bytes.

use super::archive::{self, Unpacked};
use super::registry::sha256;
use super::survey::{self, Survey};
use super::{PluginError, search, trust};
use crate::durable;
use crate::outln;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Copies the library at `path`, or the one in the archive at `path`, to the user's plugin folder, beside and renamed,
/// so that a run that starts meanwhile sees the old one or the new one. An older one of the same file name is replaced.
///
/// # Errors
/// It does not fit this host, an archive is damaged, or it cannot be copied.
pub fn install(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).unwrap_or_default(); // what cannot be read is told of when it is opened
    let Installed { place, replaced, survey } =
        if archive::is_one(&bytes) { from_archive(path, &bytes)? } else { from_library(path, &bytes)? };
    outln!("{} {}", if replaced { "replaced" } else { "installed" }, place.display());
    print_components(&survey);
    Ok(())
}

/// Writes the library at `path` as an archive to `out`, or to a file in the current folder named after its package.
///
/// # Errors
/// It does not fit this host, or the archive cannot be written.
pub fn pack(path: &Path, out: Option<&Path>) -> Result<()> {
    let name = library_name(path)?;
    let survey = survey::of(path, path)?;
    let hello = &survey.hello;
    let own = PathBuf::from(format!("{}-{}-{}.tar.gz", hello.package, hello.version, hello.target));
    let out = out.unwrap_or(&own);
    let library = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let packed = archive::packed(&name, library, &survey)?;
    durable::write_file(out, &packed).with_context(|| format!("cannot write {}", out.display()))?;
    outln!("packed {}", out.display());
    outln!("  SHA-256 {}", sha256(&packed));
    print_components(&survey);
    Ok(())
}

fn print_components(survey: &Survey) {
    for component in &survey.components {
        outln!("  {} `{}`: {}", component.kind, component.name, component.doc);
    }
}

fn library_name(path: &Path) -> Result<String> {
    let name = path.file_name().filter(|_| search::is_library(path)).ok_or_else(|| PluginError::Load {
        path: path.to_owned(),
        reason: format!("its name does not end in .{}, as a library's does", std::env::consts::DLL_EXTENSION),
    })?;
    Ok(name.to_string_lossy().into_owned())
}

/// What was done.
struct Installed {
    place: PathBuf,
    replaced: bool,
    survey: Survey,
}

fn from_library(path: &Path, bytes: &[u8]) -> Result<Installed> {
    let name = library_name(path)?;
    let survey = survey::of(path, path)?;
    let place = folder()?.join(name);
    let replaced = place.exists();
    write(&place, bytes)?;
    Ok(Installed { place, replaced, survey })
}

/// The library is tried where nobody looks for plugins before it takes its place.
fn from_archive(path: &Path, bytes: &[u8]) -> Result<Installed> {
    let refuse = |reason: String| PluginError::Load { path: path.to_owned(), reason };
    trust::check(path).map_err(refuse)?;
    let Unpacked { name, library, hello } = archive::unpacked(bytes).map_err(refuse)?;
    let folder = folder()?;
    let aside = Aside::make(&folder)?;
    let staged = aside.0.join(&name);
    write(&staged, &library)?;
    let survey = survey::of(&staged, path)?;
    if survey.hello != hello {
        let reason = "its hello.json is not what its library says of itself: it was not made by `plugin pack`";
        return Err(refuse(reason.into()).into());
    }
    let place = folder.join(&name);
    let replaced = place.exists();
    std::fs::rename(&staged, &place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(Installed { place, replaced, survey })
}

/// The user's plugin folder, made where it is not there.
fn folder() -> Result<PathBuf> {
    let folder = search::user_folder().context("neither XDG_DATA_HOME nor HOME says where the user's folder is")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn write(place: &Path, bytes: &[u8]) -> Result<()> {
    durable::write_file(place, bytes).with_context(|| format!("cannot write {}", place.display()))?;
    close_to_others(place, 0o644).with_context(|| format!("cannot close {} to others", place.display()))
}

/// A folder within the plugin folder that holds what is not installed yet; removed when dropped.
struct Aside(PathBuf);

impl Aside {
    fn make(folder: &Path) -> Result<Self> {
        let path = folder.join(format!(".incoming-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let aside = Self(path);
        close_to_others(&aside.0, 0o700).with_context(|| format!("cannot close {} to others", aside.0.display()))?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What is left over is never looked at, and the error to tell is another one.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whatever the process's mask, only the user may write to it.
fn close_to_others(path: &Path, mode: u32) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
