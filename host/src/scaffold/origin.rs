//! What a generated crate depends on: the SDK, libtorch, and the very versions of the host.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Where the crate of this host lay when it was built.
const BUILT_FROM: &str = env!("CARGO_MANIFEST_DIR");
/// Versions that this host was built with.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// Where SDK and libtorch come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A checkout of prorl-host; none where only published versions are there.
    checkout: Option<PathBuf>,
    /// Folder of libtorch.
    libtorch: Option<PathBuf>,
    /// Version of `tch`.
    pub tch: String,
    /// Versions of everything.
    pub lock: String,
}

impl Origin {
    /// The checkout `given`, or the one that this host was built from, or else published versions.
    ///
    /// # Errors
    /// `given` is no checkout.
    pub fn of(given: Option<&Path>) -> Result<Self> {
        let checkout = match given {
            Some(given) => Some(checkout(given)?),
            None => Path::new(BUILT_FROM).parent().filter(|root| holds_sdk(root)).map(Path::to_owned),
        };
        let own = checkout.as_ref().and_then(|root| std::fs::read_to_string(root.join("Cargo.lock")).ok());
        let lock = own.unwrap_or_else(|| LOCK.into());
        let tch = version("tch", &lock).context("the lock file names no version of tch")?;
        let libtorch = checkout.as_ref().map(|root| root.join(".libtorch")).filter(|folder| folder.is_dir());
        let libtorch = libtorch.or_else(|| std::env::var_os("LIBTORCH").map(PathBuf::from));
        Ok(Self { checkout, libtorch, tch, lock })
    }

    /// The manifest's line for one of our crates.
    pub fn dependency(&self, name: &str, folder: &str) -> String {
        match &self.checkout {
            Some(root) => format!("{name} = {{ path = {} }}", quoted(&root.join(folder))),
            None => format!("{name} = \"={}\"", env!("CARGO_PKG_VERSION")),
        }
    }

    /// What the user has to know before the crate builds.
    pub fn hint(&self) -> Option<String> {
        let version = prorl_abi::hello::LIBTORCH_VERSION;
        match (&self.checkout, &self.libtorch) {
            (None, _) => Some("the checkout that this program was built from is gone, so the crate asks for a published SDK; name a checkout with --sdk".into()),
            (_, None) => Some(format!("libtorch {version} was not found: run `cargo xtask setup` in the checkout, or set LIBTORCH")),
            _ => None,
        }
    }

    /// What `.cargo/config.toml` says of libtorch.
    pub fn libtorch_settings(&self) -> String {
        let Some(folder) = &self.libtorch else {
            let version = prorl_abi::hello::LIBTORCH_VERSION;
            return format!(
                "# Where libtorch {version} is: set this, or the environment's LIBTORCH.\n# LIBTORCH = {{ value = \"…\" }}"
            );
        };
        let search = quoted(Path::new(&format!("link-arg=-Wl,-rpath,{}", folder.join("lib").display())));
        let libtorch = quoted(folder);
        let note = "# Where libtorch is; the environment's LIBTORCH has precedence.";
        let tests = "# The crate's own test finds libtorch from wherever it lies.";
        let target = "[target.'cfg(target_os = \"linux\")']";
        format!("{note}\nLIBTORCH = {{ value = {libtorch} }}\n\n{tests}\n{target}\nrustflags = [\"-C\", {search}]")
    }
}

fn holds_sdk(root: &Path) -> bool {
    root.join("core/sdk/Cargo.toml").is_file()
}

fn checkout(given: &Path) -> Result<PathBuf> {
    let root = given.canonicalize().with_context(|| format!("cannot read {}", given.display()))?;
    if !holds_sdk(&root) {
        bail!("{} is no checkout of prorl-host: it has no core/sdk", given.display());
    }
    Ok(root)
}

/// The path as a TOML string.
fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

/// The version of a package in a lock file.
fn version(package: &str, lock: &str) -> Option<String> {
    let lock: toml::Table = lock.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let found = packages.iter().find(|it| it.get("name").and_then(toml::Value::as_str) == Some(package))?;
    Some(found.get("version")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_without_sdk_is_no_checkout() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Origin::of(Some(folder.path())).unwrap_err().to_string().contains("no checkout"));
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert_eq!(version("tch", LOCK), Origin::of(None).map(|it| it.tch).ok());
        assert_eq!(version("no-such-package", LOCK), None);
    }

    #[test]
    fn without_a_checkout_the_published_version_is_pinned() {
        let origin = Origin { checkout: None, libtorch: None, tch: "1.0.0".into(), lock: String::new() };
        assert!(origin.dependency("prorl-sdk", "core/sdk").starts_with("prorl-sdk = \"="));
        assert!(origin.libtorch_settings().contains("# LIBTORCH"));
        assert!(origin.hint().is_some_and(|hint| hint.contains("--sdk")));
    }
}
