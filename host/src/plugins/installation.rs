//! `plugin install`: a library into the user's plugin folder.

use super::{library, search};
use crate::durable;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Copies the library at `path` to the user's plugin folder, beside and renamed, so that a run that starts meanwhile
/// sees the old one or the new one. An older one of the same file name is replaced.
///
/// # Errors
/// It does not fit this host, or cannot be copied.
pub fn install(path: &Path) -> Result<()> {
    let Some(name) = path.file_name().filter(|_| search::is_library(path)) else {
        bail!("{} is no file that ends in .{}", path.display(), std::env::consts::DLL_EXTENSION);
    };
    let offered = library::open(path)?.components;
    let folder = search::user_folder().context("neither XDG_DATA_HOME nor HOME says where the user's folder is")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let place = folder.join(name);
    let replaced = place.exists();
    let contents = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    durable::write_file(&place, &contents).with_context(|| format!("cannot write {}", place.display()))?;
    close_to_others(&place).with_context(|| format!("cannot close {} to others", place.display()))?;
    println!("{} {}", if replaced { "replaced" } else { "installed" }, place.display());
    for component in offered {
        println!("  {} `{}`: {}", component.kind, component.name, component.doc);
    }
    Ok(())
}

/// Whatever the process's mask, only the user may write to it.
fn close_to_others(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}
