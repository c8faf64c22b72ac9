//! The three packages that libtorch is taken from, pinned by content, and how kept files are checked.

use crate::libtorch::{LAYOUT, VERSION};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::Path;

/// A package as one file.
pub struct Wheel {
    /// Its name in the package index.
    pub package: &'static str,
    /// Its version there.
    pub version: &'static str,
    /// The file that pip saves.
    pub file: &'static str,
    /// The SHA-256 of that file, in hexadecimal.
    pub sha256: &'static str,
    /// Its size, for messages.
    pub megabytes: u32,
}

/// libtorch and its headers, and the two CUDA libraries without which it does not load, not even
/// where there is no GPU.
pub const WHEELS: [Wheel; 3] = [
    Wheel {
        package: "torch",
        version: VERSION,
        file: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        megabytes: 531,
    },
    Wheel {
        package: "nvidia-cuda-runtime",
        version: "13.0.96",
        file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        megabytes: 2,
    },
    Wheel {
        package: "nvidia-cuda-cupti",
        version: "13.0.85",
        file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        megabytes: 11,
    },
];

impl Wheel {
    /// The line of a requirements file that admits this one file.
    pub fn requirement(&self) -> String {
        format!("{}=={} --hash=sha256:{}\n", self.package, self.version, self.sha256)
    }
}

/// The name of what the wheels are laid out as: equal exactly when the content is.
pub fn folder_name() -> String {
    let mut hash = Sha256::new_with_prefix(format!("layout {LAYOUT}"));
    WHEELS.iter().for_each(|wheel| hash.update(wheel.sha256));
    format!("libtorch-{VERSION}-{}", &hexadecimal(&hash.finalize())[..12])
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let shown = || format!("cannot read {}", path.display());
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path).with_context(shown)?, &mut hash).with_context(shown)?;
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_a_file_is_the_published_one() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc")?;
        assert_eq!(sha256(&path)?, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        Ok(())
    }

    #[test]
    fn pins_are_whole_digests_of_the_named_files() {
        for wheel in WHEELS {
            assert!(wheel.sha256.len() == 64 && wheel.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(wheel.file.starts_with(&format!("{}-{}-", wheel.package.replace('-', "_"), wheel.version)));
            assert!(wheel.requirement().starts_with(&format!("{}=={} --hash=sha256:", wheel.package, wheel.version)));
        }
    }

    #[test]
    fn folder_name_carries_the_version_and_a_digest() {
        let name = folder_name();
        assert!(name.strip_prefix("libtorch-2.11.0-").is_some_and(|digest| digest.len() == 12));
    }
}
