//! Where things lie, and what children are told about it.

use crate::setup::{Libtorch, Origin};
use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How threads of libtorch wait for each other: `.cargo/config.toml` lets them sleep, so that tests run side by side.
pub const WAITING: &str = "OMP_WAIT_POLICY";

/// The clone that `cargo xtask` was called in.
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// The folder of the release binaries; `CARGO_TARGET_DIR` and `build.target-dir` can move it.
    release: PathBuf,
}

impl Workspace {
    /// Takes the root from cargo and the release folder from where this very program lies.
    ///
    /// # Errors
    /// The system does not tell this program's own path.
    pub fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().context("the folder of xtask has no parent")?.to_path_buf();
        let program = env::current_exe().context("cannot tell where xtask itself lies")?;
        let profile = program.parent().context("xtask lies in no folder")?;
        Ok(Self { root, release: profile.with_file_name("release") })
    }

    /// Where `cargo xtask setup` puts libtorch, or a link to it.
    pub fn libtorch(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// A cargo command in the root.
    pub fn cargo<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args);
        command
    }

    /// A command that runs one of the project's release binaries in the root; its threads wait for each other as they do
    /// without cargo.
    pub fn binary(&self, name: &str) -> Command {
        let mut command = self.command(self.release.join(name).into_os_string());
        command.env_remove(WAITING);
        command
    }

    /// The benchmark.
    pub fn bench(&self) -> Command {
        self.binary("prorl-bench")
    }

    /// A command in the root without what cargo told this program about itself, so that a cargo
    /// started from here sees the environment of one started by hand and rebuilds nothing.
    fn command(&self, program: OsString) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        let about_xtask = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(about_xtask) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Lets a command build against this libtorch and run with it, wherever the target folder is.
pub trait WithLibtorch {
    /// Sets the environment accordingly.
    ///
    /// # Errors
    /// A path holds a colon, so that it cannot be listed in `LD_LIBRARY_PATH`.
    fn with(&mut self, libtorch: &Libtorch) -> Result<&mut Self>;
}

impl WithLibtorch for Command {
    fn with(&mut self, libtorch: &Libtorch) -> Result<&mut Self> {
        if libtorch.origin == Origin::Own {
            // `.cargo/config.toml` sets it to the same folder.
            self.env_remove("LIBTORCH");
        }
        let rest = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let paths = std::iter::once(libtorch.root.join("lib")).chain(env::split_paths(&rest));
        let joined = env::join_paths(paths).context("cannot put libtorch's folder into LD_LIBRARY_PATH")?;
        Ok(self.env("LD_LIBRARY_PATH", joined))
    }
}
