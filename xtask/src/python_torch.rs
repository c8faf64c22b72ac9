//! An installed Python torch as libtorch: a folder of links into it.

use crate::libtorch::{VERSION, version};
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the folder of torch is, without the seconds of importing it.
const LOCATE: &str = "
import importlib.util
spec = importlib.util.find_spec('torch')
if spec and spec.submodule_search_locations:
    print(spec.submodule_search_locations[0])
";

/// The torch folder of `python3`, if it is of the right version and the user does not refuse it.
pub fn find() -> Option<PathBuf> {
    if env::var_os("PRORL_NO_SYSTEM_TORCH").is_some_and(|value| !value.is_empty() && value != "0") {
        return None;
    }
    let output = Command::new("python3").args(["-c", LOCATE]).output().ok()?;
    let torch = Path::new(String::from_utf8(output.stdout).ok()?.trim()).canonicalize().ok()?;
    let found = version(&torch)?;
    if found != VERSION {
        println!("Python has torch {found} at {}, but {VERSION} is needed: not used", torch.display());
        return None;
    }
    Some(torch)
}

/// Makes `tree` a libtorch whose files are links into this torch.
///
/// # Errors
/// A folder cannot be read, or a link cannot be made.
pub fn link(torch: &Path, tree: &Path) -> Result<()> {
    let packages = torch.parent().context("torch lies in no folder")?;
    let lib = tree.join("lib");
    fs::create_dir_all(&lib).with_context(|| format!("cannot make {}", lib.display()))?;
    symlink(torch.join("include"), tree.join("include")).context("cannot link torch's headers")?;
    let mut libraries = libraries_in(&torch.join("lib"))?;
    libraries.extend(libraries_in(&packages.join("torch.libs"))?);
    for package in entries(&packages.join("nvidia"))? {
        libraries.extend(libraries_in(&package.join("lib"))?.into_iter().filter(|path| is_cuda_runtime(path)));
    }
    for library in libraries.iter().filter(|path| !is_left_out(path)) {
        let place = lib.join(library.file_name().unwrap_or_default());
        symlink(library, &place).with_context(|| format!("cannot link {}", library.display()))?;
    }
    Ok(())
}

/// The shared libraries of a folder; none if there is no such folder.
fn libraries_in(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| name(path).contains(".so") && path.is_file()).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let shown = || format!("cannot list {}", folder.display());
    fs::read_dir(folder).with_context(shown)?.map(|entry| Ok(entry.with_context(shown)?.path())).collect()
}

/// What libtorch_cpu.so of a CUDA build asks for.
fn is_cuda_runtime(path: &Path) -> bool {
    ["libcudart.so.", "libcupti.so."].iter().any(|start| name(path).starts_with(start))
}

/// What is not linked: a linker script replaces `libtorch.so`, torch-sys would link the GPU part if
/// it were here, and the rest belongs to Python.
fn is_left_out(path: &Path) -> bool {
    const STARTS: [&str; 9] = [
        "libtorch.so",
        "libtorch_cuda",
        "libtorch_hip",
        "libtorch_nvshmem",
        "libc10_cuda",
        "libcaffe2_nvrtc",
        "libtorch_python",
        "libtorch_global_deps",
        "libshm",
    ];
    STARTS.iter().any(|start| name(path).starts_with(start))
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_the_cpu_part_and_what_it_asks_for() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let packages = outer.path().join("site-packages");
        let files = [
            "torch/include/a.h",
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch_python.so",
            "torch/lib/libshm/core.h",
            "torch.libs/libgomp-24e2ab19.so.1.0.0",
            "nvidia/cu13/lib/libcudart.so.13",
            "nvidia/cu13/lib/libcublas.so.13",
            "nvidia/cuda_cupti/lib/libcupti.so.12",
        ];
        for file in files.map(|file| packages.join(file)) {
            fs::create_dir_all(file.parent().unwrap_or(&packages))?;
            fs::write(file, "")?;
        }
        let tree = outer.path().join("tree");
        link(&packages.join("torch"), &tree)?;
        let mut linked: Vec<_> = entries(&tree.join("lib"))?.iter().map(|path| name(path).into_owned()).collect();
        linked.sort();
        assert_eq!(linked, ["libcudart.so.13", "libcupti.so.12", "libgomp-24e2ab19.so.1.0.0", "libtorch_cpu.so"]);
        assert!(tree.join("include/a.h").exists());
        Ok(())
    }
}
