//! Plugins that are linked into this program instead of lying beside it as libraries.
//!
//! They go through the same object traits as those of a library; there is merely nothing to find, open and compare.

use super::library::{HelloFacts, Library};
use prorl_abi::hello::{ABI_VERSION, LIBTORCH_VERSION, TARGET};
use prorl_sdk::export::{SDK_VERSION, library};
use std::path::PathBuf;

/// The plugins that are linked in; none in a program that opens libraries only.
pub fn libraries() -> Vec<Library> {
    let linked = library::linked();
    if linked.is_empty() {
        return Vec::new();
    }
    let module = library::linked_module();
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("this program"));
    let of = |plugin: library::Linked| Library {
        path: program.clone(),
        built_in: true,
        hello: HelloFacts {
            package: plugin.package.into(),
            version: plugin.version.into(),
            abi_version: ABI_VERSION,
            sdk_version: SDK_VERSION.trim_end_matches('\0').into(),
            target: TARGET.trim_end_matches('\0').into(),
            libtorch: LIBTORCH_VERSION.into(),
            panic: if cfg!(panic = "unwind") { "unwind".into() } else { "abort".into() },
        },
        components: plugin.components,
        module,
    };
    linked.into_iter().map(of).collect()
}

/// The file name under which a package would lie beside the program.
pub fn file_name(package: &str) -> String {
    let prefix = std::env::consts::DLL_PREFIX;
    format!("{prefix}{}.{}", package.replace('-', "_"), std::env::consts::DLL_EXTENSION)
}
