//! Which libtorch is used, in this order: the user's, the one at hand, a cached one, Python's, a fetched one.

use crate::command::timed;
use crate::libtorch::{VERSION, finish, inspect, inspect_made, is_made_by_us};
use crate::lock::Lock;
use crate::workspace::Workspace;
use crate::{pip, python_torch, unpack, wheels};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The libtorch that everything is built against and runs with.
pub struct Libtorch {
    /// The folder with lib/ and include/.
    pub root: PathBuf,
    /// Who chose it.
    pub origin: Origin,
}

/// Who chose the folder.
#[derive(PartialEq)]
pub enum Origin {
    /// `LIBTORCH`, set by the user.
    User,
    /// Set-up: the clone's `.libtorch`.
    Own,
}

/// Makes libtorch available, doing no more than is needed.
///
/// # Errors
/// `LIBTORCH` is not usable, there is no libtorch for this platform, or it cannot be fetched.
pub fn libtorch(workspace: &Workspace) -> Result<Libtorch> {
    let own = workspace.libtorch();
    if let Some(root) = given(env::var_os("LIBTORCH").as_deref(), &own) {
        check_given(&root)?;
        if !own.exists() {
            // Binaries look there, so that they also run outside cargo.
            let _lock = Lock::take(&beside(&own, "lock"))?;
            point_at(&own, &root)?;
        }
        return Ok(Libtorch { root, origin: Origin::User });
    }
    if !is_usable(&own) {
        make(&own)?;
    }
    Ok(Libtorch { root: own, origin: Origin::Own })
}

/// The user's `LIBTORCH`; `.cargo/config.toml` sets it to `own` when the user does not.
fn given(variable: Option<&OsStr>, own: &Path) -> Option<PathBuf> {
    variable.filter(|value| !value.is_empty()).map(PathBuf::from).filter(|path| path != own)
}

fn check_given(root: &Path) -> Result<()> {
    let advice = format!("set LIBTORCH to the absolute path of a libtorch {VERSION}, or unset it");
    if root.is_relative() {
        bail!("LIBTORCH={} is a relative path: {advice}", root.display());
    }
    inspect(root).map_err(|problem| anyhow::anyhow!("LIBTORCH={} {problem}: {advice}", root.display()))
}

/// A folder that set-up made has to be complete; one that somebody else put there, to fit.
fn is_usable(root: &Path) -> bool {
    if is_made_by_us(root) { inspect_made(root).is_ok() } else { inspect(root).is_ok() }
}

/// Makes `.libtorch`, while no other process does.
fn make(own: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        bail!("there is no ready libtorch for this platform: set LIBTORCH to a libtorch {VERSION}");
    }
    let lock = Lock::take(&beside(own, "lock"))?;
    if is_usable(own) {
        return Ok(());
    }
    check_replaceable(own)?;
    let cache = env::var_os("PRORL_CACHE").filter(|folder| !folder.is_empty());
    let cached = cache.map(|folder| Path::new(&folder).join(wheels::folder_name()));
    if let Some(cached) = cached.as_ref().filter(|cached| is_usable(cached)) {
        return point_at(own, cached);
    }
    if let Some(torch) = python_torch::find() {
        match from_python(&torch, own) {
            Err(problem) => println!("Python's torch at {} is not used: {problem:#}", torch.display()),
            done => return done,
        }
    }
    match cached {
        Some(cached) => {
            from_wheels_in_cache(&cached)?;
            point_at(own, &cached)
        }
        None => from_wheels(own, &lock),
    }
}

fn from_wheels_in_cache(cached: &Path) -> Result<()> {
    let cache = cached.parent().unwrap_or(cached);
    fs::create_dir_all(cache).with_context(|| format!("cannot make PRORL_CACHE={}", cache.display()))?;
    let lock = Lock::take(&beside(cached, "lock"))?;
    if is_usable(cached) {
        return Ok(());
    }
    check_replaceable(cached)?;
    from_wheels(cached, &lock)
}

fn from_python(torch: &Path, target: &Path) -> Result<()> {
    println!("using torch {VERSION} of Python: {}", torch.display());
    let part = beside(target, "part");
    let tree = fresh(&part)?;
    python_torch::link(torch, &tree)?;
    finish(&tree, &format!("Python's {}", torch.display()))?;
    install(&tree, target, &part)
}

fn from_wheels(target: &Path, lock: &Lock) -> Result<()> {
    let part = beside(target, "part");
    let tree = fresh(&part)?;
    let files = pip::fetch(&part, lock)?;
    timed("unpacking libtorch (530 MB)", || unpack::unpack(&files, &tree))?;
    timed("checking that it loads", || finish(&tree, "wheels"))?;
    install(&tree, target, &part)
}

/// An empty folder to make libtorch in; what an earlier, interrupted set-up unpacked is dropped,
/// what it fetched stays.
fn fresh(part: &Path) -> Result<PathBuf> {
    let tree = part.join("tree");
    clear(&tree)?;
    fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
    Ok(tree)
}

/// Moves the finished tree to its place in one step and removes what is left over.
fn install(tree: &Path, target: &Path, part: &Path) -> Result<()> {
    make_way(target, part)?;
    fs::rename(tree, target).with_context(|| format!("cannot move libtorch to {}", target.display()))?;
    clear(part)
}

/// Makes `own` a link to a libtorch elsewhere.
fn point_at(own: &Path, elsewhere: &Path) -> Result<()> {
    let elsewhere = elsewhere.canonicalize().with_context(|| format!("cannot follow {}", elsewhere.display()))?;
    let part = beside(own, "part");
    make_way(own, &part)?;
    println!("linking .libtorch to {}", elsewhere.display());
    symlink(&elsewhere, own).with_context(|| format!("cannot link {}", own.display()))?;
    clear(&part)
}

/// Whether what is no longer usable at a place may be removed: a link, or what set-up made.
fn check_replaceable(target: &Path) -> Result<()> {
    if target.is_symlink() || !target.exists() || is_made_by_us(target) {
        return Ok(());
    }
    let problem = inspect(target).err().map_or_else(String::new, |problem| format!(" and {problem}"));
    bail!("{} was not made by set-up{problem}: remove it and try again", target.display());
}

/// Removes what is at a place.
fn make_way(target: &Path, part: &Path) -> Result<()> {
    if target.is_symlink() {
        return fs::remove_file(target).with_context(|| format!("cannot remove {}", target.display()));
    }
    if !target.exists() {
        return Ok(());
    }
    let old = part.join("old");
    clear(&old)?;
    fs::create_dir_all(part).with_context(|| format!("cannot make {}", part.display()))?;
    fs::rename(target, &old).with_context(|| format!("cannot move {} away", target.display()))
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    Ok(())
}

/// `<path>.<suffix>`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_from_cargos_configuration_is_not_the_users() {
        let own = Path::new("/clone/.libtorch");
        let given = |value: &str| given(Some(OsStr::new(value)), own);
        assert_eq!(given("/clone/.libtorch"), None);
        assert_eq!(given(""), None);
        assert_eq!(given("/opt/libtorch"), Some("/opt/libtorch".into()));
        assert_eq!(super::given(None, own), None);
    }

    #[test]
    fn what_somebody_else_put_there_is_not_replaced() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let own = outer.path().join(".libtorch");
        check_replaceable(&own)?;
        symlink("/nowhere", &own)?;
        check_replaceable(&own)?;
        fs::remove_file(&own)?;
        fs::create_dir(&own)?;
        assert!(check_replaceable(&own).is_err_and(|error| error.to_string().contains("was not made by set-up")));
        Ok(())
    }

    #[test]
    fn a_finished_tree_takes_the_place_of_an_earlier_one() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let own = outer.path().join(".libtorch");
        let part = beside(&own, "part");
        for version in ["old", "new"] {
            let tree = fresh(&part)?;
            fs::write(tree.join("version"), version)?;
            install(&tree, &own, &part)?;
        }
        assert_eq!(fs::read_to_string(own.join("version"))?, "new");
        assert!(!part.exists());
        Ok(())
    }
}
