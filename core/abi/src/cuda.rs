//! The part of libtorch that computes on GPUs.
//!
//! Programs and plugins link to libtorch's CPU part alone, so that one build serves machines with and without a GPU.
//! The other part is opened at run time where there is a use for it.

#![allow(unsafe_code)]

use libloading::Library;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use thiserror::Error;

const CPU_PART: &str = "libtorch_cpu.so";
const GPU_PART: &str = "libtorch_cuda.so";
/// What NVIDIA's driver installs for programs.
const DRIVER: &str = "libcuda.so.1";

/// Why nothing can be computed on a GPU.
#[derive(Debug, Clone, Error)]
pub enum CudaError {
    /// No GPU, or none that this process may use.
    #[error("there is no NVIDIA driver here ({DRIVER})")]
    NoDriver,
    /// A libtorch for CPUs.
    #[error(
        "the libtorch in {folder} has no {GPU_PART}: set LIBTORCH to the folder `torch` of a Python torch with CUDA, of \
         the same version, and build again"
    )]
    CpuOnly {
        /// Where libtorch's CPU part lies.
        folder: PathBuf,
    },
    /// A library that it needs is missing, or of another version.
    #[error("{path} cannot be opened: {cause}")]
    NotOpened {
        /// The GPU part.
        path: PathBuf,
        /// What the system's loader says.
        cause: String,
    },
}

/// Opens libtorch's GPU part, once a process, where there is a driver.
///
/// To be called before anything asks libtorch for a GPU: it looks for this part at the first question and keeps the
/// answer. Whether there is a GPU is asked by `tch::Cuda` afterwards.
///
/// # Errors
/// There is no driver or no GPU part, or it cannot be opened.
pub fn open() -> Result<(), CudaError> {
    static OPENED: OnceLock<Result<(), CudaError>> = OnceLock::new();
    OPENED.get_or_init(open_once).clone()
}

fn open_once() -> Result<(), CudaError> {
    keep(Path::new(DRIVER)).map_err(|_| CudaError::NoDriver)?;
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // A program that links libtorch in has no CPU part of its own: the name alone then finds what the system has.
    let path = cpu_part(&maps).map_or_else(|| PathBuf::from(GPU_PART), |cpu| cpu.with_file_name(GPU_PART));
    if path.is_absolute() && !path.exists() {
        let folder = path.parent().unwrap_or(&path).to_owned();
        return Err(CudaError::CpuOnly { folder });
    }
    keep(&path).map_err(|cause| CudaError::NotOpened { path, cause })
}

/// Opens a library for as long as the process lives.
fn keep(path: &Path) -> Result<(), String> {
    // SAFETY: opening a library runs its initialisers. These are the driver's, and those of the libtorch that this process
    // already computes with.
    let library = unsafe { Library::new(path) }.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })?;
    std::mem::forget(library);
    Ok(())
}

/// Where libtorch's CPU part lies, links followed, by the system's list of what this process holds: the GPU part finds
/// its own libraries from its true place only.
fn cpu_part(maps: &str) -> Option<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.into_iter().find(|path| path.file_name().is_some_and(|name| name == CPU_PART)).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_cpu_part_is_found_among_what_is_mapped() {
        let maps = "55d0-55e0 r-xp 00000000 fe:00 77 /opt/a host/bin/prorl-host\n7f00-7f10 rw-p 00000000 00:00 0 \n\
                    7f20-7f30 r--p 00000000 fe:00 78 /opt/a torch/lib/libtorch_cpu.so\n";
        assert_eq!(cpu_part(maps).unwrap(), Path::new("/opt/a torch/lib/libtorch_cpu.so"));
        assert!(cpu_part("7f00-7f10 rw-p 00000000 00:00 0 [heap]").is_none());
    }

    #[test]
    fn this_process_holds_it() {
        let zeros = tch::Tensor::zeros([1], (tch::Kind::Float, tch::Device::Cpu));
        assert_eq!(zeros.size(), [1]);
        let held = cpu_part(&fs::read_to_string("/proc/self/maps").unwrap()).unwrap();
        assert!(held.is_file(), "{}", held.display());
    }

    #[test]
    fn a_gpu_is_there_only_where_its_part_could_be_opened() {
        let opened = open();
        assert_eq!(opened.is_ok(), open().is_ok(), "the answer stays");
        if matches!(opened, Err(CudaError::NoDriver | CudaError::CpuOnly { .. })) {
            assert!(!tch::Cuda::is_available());
        }
    }
}
