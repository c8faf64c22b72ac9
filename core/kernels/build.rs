//! Compiles the shim, a node of libtorch's graph and the use of its threads, against the headers of the libtorch that the
//! workspace builds with.

use std::env;
use std::path::PathBuf;

fn main() {
    for path in ["shim", "build.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        println!("cargo:warning=LIBTORCH is not set; `cargo xtask setup` puts libtorch where cargo looks for it");
        std::process::exit(1);
    };
    let include = libtorch.join("include");
    let mut build = cc::Build::new();
    build.cpp(true).pic(true).warnings(false).std("c++17").files(["shim/node.cpp", "shim/threads.cpp"]);
    build.include(&include).include(include.join("torch/csrc/api/include")).compile("prorl_kernels");
    println!("cargo:rustc-link-search=native={}", libtorch.join("lib").display());
    for library in ["torch", "torch_cpu", "c10"] {
        println!("cargo:rustc-link-lib={library}");
    }
}
