//! SHA-256 of text, files, folders, JSON values and tensors.

use crate::checkpoint::bytes_of;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tch::{TchError, Tensor};

/// SHA-256 of `bytes`, as 64 hexadecimal digits.
pub fn hash_bytes(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// SHA-256 of a file's contents, e.g. of a plugin library.
///
/// # Errors
/// If the file cannot be read.
pub fn hash_file(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(format!("{:x}", hasher.finalize()))
}

/// SHA-256 of a folder's files, their names and contents, in the order of their names; links are
/// followed, times and permissions do not count.
///
/// # Errors
/// If a file or folder cannot be read.
pub fn hash_folder(folder: &Path) -> io::Result<String> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut lines = String::new();
    for entry in entries {
        let path = entry.path();
        let (kind, hash) = match path.is_dir() {
            true => ("folder", hash_folder(&path)?),
            false => ("file", hash_file(&path)?),
        };
        lines.push_str(&format!("{kind} {hash} {:?}\n", entry.file_name()));
    }
    Ok(hash_bytes(lines.as_bytes()))
}

/// SHA-256 of a tensor's kind, shape and numbers, whatever its device and layout.
///
/// # Errors
/// If libtorch cannot copy it to the CPU.
pub fn tensor_hash(tensor: &Tensor) -> Result<String, TchError> {
    let shape = format!("{:?} {:?}\n", tensor.f_kind()?, tensor.size());
    let hasher = Sha256::new().chain_update(shape).chain_update(bytes_of(tensor)?);
    Ok(format!("{:x}", hasher.finalize()))
}

/// `value` as JSON without spaces, names sorted at every level: equal values, equal text.
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            let entry =
                |(name, value): (&String, &Value)| format!("{}:{}", Value::from(name.as_str()), canonical_json(value));
            let entries: Vec<String> = entries.into_iter().map(entry).collect();
            format!("{{{}}}", entries.join(","))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn known_hashes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_bytes(b"abc"), abc);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        assert_eq!(hash_file(&folder.path().join("a")).unwrap(), abc);
    }

    #[test]
    fn a_folder_s_hash_depends_on_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let hash = || hash_folder(folder.path()).unwrap();
        let mut hashes = vec![hash()];
        fs::write(folder.path().join("a"), "1").unwrap();
        hashes.push(hash());
        fs::write(folder.path().join("a"), "2").unwrap();
        hashes.push(hash());
        fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        hashes.push(hash());
        fs::create_dir(folder.path().join("a")).unwrap();
        hashes.push(hash());
        let mut distinct = hashes.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), hashes.len());
        assert_eq!(hash(), hash());
    }

    #[test]
    fn a_tensor_s_hash_depends_on_all_but_its_layout() {
        let hash = |tensor: &Tensor| tensor_hash(tensor).unwrap();
        let rows = Tensor::from_slice(&[1_i64, 2, 3, 4, 5, 6]).reshape([2, 3]);
        let columns = Tensor::from_slice(&[1_i64, 4, 2, 5, 3, 6]).reshape([3, 2]);
        assert_eq!(hash(&rows), hash(&columns.transpose(0, 1)));
        assert_ne!(hash(&rows), hash(&rows.reshape([3, 2])));
        assert_ne!(hash(&rows), hash(&rows.to_kind(tch::Kind::Double)));
        assert_ne!(hash(&rows), hash(&(&rows + 1)));
    }

    #[test]
    fn canonical_text() {
        let value = json!({"b": [1, 2.5, "x\"y"], "a": {"d": null, "c": true}});
        assert_eq!(canonical_json(&value), r#"{"a":{"c":true,"d":null},"b":[1,2.5,"x\"y"]}"#);
    }

    proptest! {
        #[test]
        fn canonical_text_means_the_same(names in prop::collection::vec(".*", 0..6), number: f64) {
            let entries = names.into_iter().map(|name| (name, json!([number, null])));
            let value = Value::Object(entries.collect());
            let back: Value = serde_json::from_str(&canonical_json(&value)).unwrap();
            prop_assert_eq!(canonical_json(&back), canonical_json(&value));
        }
    }
}
