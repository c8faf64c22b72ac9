//! Hashes: of what a data set was read from, and of users for splits that stay when users are added.

use crate::error::DataError;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::Path;

/// Changes whenever this crate makes something else of the same files, so that cached artefacts are not reused.
const GENERATION: &str = "prorl-data 1";

/// SHA-256 over the names and contents of files and over options. Where the files lie does not matter.
#[derive(Clone, Debug)]
pub struct ContentHash(Sha256);

impl ContentHash {
    /// A hash that begins with the options.
    pub fn new(options: &impl Serialize) -> Self {
        let mut hash = Self(Sha256::new());
        hash.add("generation", GENERATION.as_bytes());
        hash.add("options", &serde_json::to_vec(options).unwrap_or_default());
        hash
    }

    /// Adds a named content.
    pub fn add(&mut self, name: &str, content: &[u8]) {
        for part in [name.as_bytes(), content] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Adds a file without holding it in memory.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn add_file(&mut self, path: &Path) -> Result<(), DataError> {
        let mut file = File::open(path).map_err(DataError::io("open", path))?;
        let mut inner = Sha256::new();
        std::io::copy(&mut file, &mut inner).map_err(DataError::io("read", path))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.add(&name, &inner.finalize());
        Ok(())
    }

    /// The hash as 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where a thing falls in [0, 1), uniformly and for good: it depends on seed, purpose and name alone.
pub fn unit_interval(seed: u64, purpose: &str, name: &str) -> f64 {
    // 53 bits fill a double's mantissa.
    (seed_of(seed, purpose, name) >> 11) as f64 / (1u64 << 53) as f64
}

/// A seed for the random choices about one thing, from the seed of all, their purpose and the thing's name.
pub fn seed_of(seed: u64, purpose: &str, name: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((purpose.len() as u64).to_le_bytes());
    hash.update(purpose);
    hash.update(name);
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_hash_tells_contents_names_and_options_apart() {
        let hash = |options: u32, name: &str, content: &str| {
            let mut hash = ContentHash::new(&options);
            hash.add(name, content.as_bytes());
            hash.finish()
        };
        let one = hash(1, "a", "bc");
        assert_eq!(one.len(), 64);
        assert_eq!(one, hash(1, "a", "bc"));
        for other in [hash(2, "a", "bc"), hash(1, "ab", "c"), hash(1, "a", "bd")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn files_count_by_name_and_content_not_by_folder() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hash = |folder: &Path, text: &str| {
            std::fs::write(folder.join("x"), text).unwrap();
            let mut hash = ContentHash::new(&0);
            hash.add_file(&folder.join("x")).unwrap();
            hash.finish()
        };
        assert_eq!(hash(here.path(), "1"), hash(there.path(), "1"));
        assert_ne!(hash(here.path(), "1"), hash(there.path(), "2"));
    }

    #[test]
    fn the_unit_interval_is_filled_evenly() {
        let values: Vec<f64> = (0..4000).map(|user| unit_interval(5, "split", &user.to_string())).collect();
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        let mean = values.iter().sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_ne!(unit_interval(6, "split", "1"), values[1]);
    }
}
