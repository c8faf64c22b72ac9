//! Compiles the shim over c10d against the headers of the libtorch that the workspace builds with.

use std::env;
use std::path::{Path, PathBuf};

const SOURCES: [&str; 6] =
    ["shim/store.cpp", "shim/group.cpp", "shim/reducer.cpp", "shim/adamw.cpp", "shim/memory.cpp", "shim/products.cpp"];

fn main() {
    for path in ["shim", "build.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    for name in ["LIBTORCH", "CUDA_HOME", "PRORL_NCCL_INCLUDE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        println!("cargo:warning=LIBTORCH is not set; `cargo xtask setup` puts libtorch where cargo looks for it");
        std::process::exit(1);
    };
    compiler(&libtorch).files(SOURCES).compile("prorl_c10d");
    println!("cargo:rustc-check-cfg=cfg(nccl)");
    if let Some(headers) = nccl_headers(&libtorch) {
        compile_nccl(&libtorch, &headers);
    }
    println!("cargo:rustc-link-search=native={}", libtorch.join("lib").display());
    for library in ["torch", "c10"] {
        println!("cargo:rustc-link-lib={library}");
    }
}

fn compiler(libtorch: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    let include = libtorch.join("include");
    // The wheel has no headers of Gloo: `shim/gloo` declares the few types that c10d's name.
    build.cpp(true).pic(true).warnings(false).std("c++17").define("USE_C10D_GLOO", None).include("shim");
    build.include(&include).include(include.join("torch/csrc/api/include"));
    build
}

/// Folders with NCCL's and CUDA's headers, where the CUDA part of libtorch and NCCL's own header are there.
fn nccl_headers(libtorch: &Path) -> Option<Vec<PathBuf>> {
    let site = libtorch.canonicalize().ok()?.parent()?.to_owned();
    let named = env::var_os("PRORL_NCCL_INCLUDE").map(PathBuf::from);
    let toolkit = env::var_os("CUDA_HOME").map_or_else(|| PathBuf::from("/usr/local/cuda"), PathBuf::from);
    let toolkit = ["include", "include/cccl"].map(|it| toolkit.join(it));
    let wheels = ["nccl/include", "cu13/include", "cu13/include/cccl"].map(|it| site.join("nvidia").join(it));
    let places: Vec<PathBuf> = named.into_iter().chain(wheels).chain(toolkit).collect();
    let holds = |header: &str| places.iter().any(|place| place.join(header).is_file());
    if !libtorch.join("lib/libtorch_cuda.so").exists() || !holds("nccl.h") {
        return None;
    }
    let missing = ["cuda_runtime.h", "crt/host_config.h", "nv/target"].into_iter().find(|header| !holds(header));
    if let Some(header) = missing {
        println!(
            "cargo:warning=built without NCCL: CUDA's header {header} is missing; CUDA_HOME names a toolkit that has it, \
             or `pip install 'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-cccl==13.0.*'` beside torch"
        );
    }
    missing.is_none().then_some(places)
}

/// A failure is a warning: the crate then says at run time that it has no NCCL.
fn compile_nccl(libtorch: &Path, headers: &[PathBuf]) {
    let mut build = compiler(libtorch);
    build.define("USE_C10D_NCCL", None).includes(headers).file("shim/nccl.cpp");
    match build.try_compile("prorl_c10d_nccl") {
        Ok(()) => {
            println!("cargo:rustc-cfg=nccl");
            println!("cargo:rustc-link-lib=torch_cuda");
        }
        Err(error) => println!("cargo:warning=built without NCCL: {error}"),
    }
}
