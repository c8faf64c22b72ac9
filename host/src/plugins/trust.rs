//! Who else could have written a library: one that others may change would run their code as the user's.

use std::path::Path;

/// Environment variable that lets such a library be loaded all the same.
pub const TRUST_VARIABLE: &str = "PRORL_PLUGIN_TRUST_WRITABLE";

/// Refuses a library that every user of the machine may write to, or whose folder they may.
///
/// # Errors
/// One sentence that says what to do.
pub fn check(library: &Path) -> Result<(), String> {
    if std::env::var_os(TRUST_VARIABLE).is_some_and(|value| value == "1") {
        return Ok(());
    }
    let file = library.canonicalize().unwrap_or_else(|_| library.to_owned());
    for path in [Some(file.as_path()), file.parent()].into_iter().flatten() {
        if written_by_others(path) {
            return Err(format!(
                "every user of this machine may write to {}: run `chmod o-w {}`, or set {TRUST_VARIABLE}=1 to load it all the same",
                path.display(),
                path.display()
            ));
        }
    }
    Ok(())
}

/// A folder with the sticky bit, such as the one for temporary files, lets nobody replace what others put there.
#[cfg(unix)]
fn written_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    std::fs::metadata(path).is_ok_and(|found| {
        let mode = found.permissions().mode();
        mode & OTHERS != 0 && !(found.is_dir() && mode & STICKY != 0)
    })
}

#[cfg(not(unix))]
fn written_by_others(_: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_library_or_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("a.so");
        std::fs::write(&library, "").unwrap();
        let set = |path: &Path, mode: u32| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&library, 0o664);
        assert_eq!(check(&library), Ok(()));
        set(&library, 0o646);
        assert!(check(&library).unwrap_err().contains("chmod o-w"));
        set(&library, 0o644);
        set(folder.path(), 0o777);
        assert!(check(&library).is_err());
        set(folder.path(), 0o1777);
        assert_eq!(check(&library), Ok(()));
    }
}
