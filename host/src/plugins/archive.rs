//! A plugin as one file to hand on: library, hello record, schemas of parameters, hashes, as a `.tar.gz`.
//!
//! The hashes tell a damaged archive from a whole one. Whoever changes the archive can change them too: to know that it
//! is the one that was packed, compare the archive's own hash, which `plugin pack` prints.

use super::library::HelloFacts;
use super::registry::sha256;
use super::search;
use super::survey::Survey;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

const HELLO: &str = "hello.json";
/// In the format of `sha256sum`, so that an unpacked archive can be checked with `sha256sum -c SHA256SUMS`.
const HASHES: &str = "SHA256SUMS";
/// More than any plugin holds; what unpacks to more is refused before it fills the memory.
const LARGEST: u64 = 4 << 30;

/// What an archive holds, its hashes compared.
#[derive(Debug)]
pub struct Unpacked {
    /// The library's file name.
    pub name: String,
    /// The library.
    pub library: Vec<u8>,
    /// What the library says of itself, according to the archive.
    pub hello: HelloFacts,
}

/// Whether a file's contents are those of an archive.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The archive of a library: the same bytes for the same library.
///
/// # Errors
/// What the survey holds cannot be written.
pub fn packed(name: &str, library: Vec<u8>, survey: &Survey) -> io::Result<Vec<u8>> {
    let mut files = BTreeMap::from([(name.to_owned(), library)]);
    files.insert(HELLO.into(), text(&serde_json::to_value(&survey.hello)?)?);
    for component in &survey.components {
        let kind = component.kind.to_string().replace(' ', "-");
        files.insert(format!("schemas/{kind}-{}.json", file_name(&component.name)), text(&component.schema)?);
    }
    let lines = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)));
    let hashes = lines.collect::<String>();
    files.insert(HASHES.into(), hashes.into_bytes());

    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes) in &files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()?.finish()
}

fn text(value: &Value) -> io::Result<Vec<u8>> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?).into_bytes())
}

/// A component's name, fit for a file's.
fn file_name(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() || "-_.".contains(it) { it } else { '_' }).collect()
}

/// What an archive holds.
///
/// # Errors
/// It is damaged, holds something else than a plugin, or a hash differs; one sentence that names the file in it.
pub fn unpacked(bytes: &[u8]) -> Result<Unpacked, String> {
    let mut files = files(bytes)?;
    compare(&files)?;
    let hello = files.get(HELLO).ok_or_else(|| format!("it lacks {HELLO}: pack it again"))?;
    let hello = serde_json::from_slice(hello).map_err(|error| format!("its {HELLO} cannot be read: {error}"))?;
    let mut names = files.keys().filter(|name| !name.contains('/') && search::is_library(Path::new(name)));
    match (names.next().cloned(), names.next()) {
        (Some(name), None) => {
            let library = files.remove(&name).unwrap_or_default();
            Ok(Unpacked { name, library, hello })
        }
        (Some(first), Some(second)) => Err(format!("it holds two libraries, {first} and {second}: pack one at a time")),
        (None, _) => Err(format!("it holds no file that ends in .{}", std::env::consts::DLL_EXTENSION)),
    }
}

fn files(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let damaged = |error: io::Error| format!("it is no whole .tar.gz archive ({error}): copy or pack it again");
    let mut archive = tar::Archive::new(GzDecoder::new(bytes).take(LARGEST));
    let mut files = BTreeMap::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() {
            return Err(format!("{name} in it is no plain file: it was not made by `plugin pack`"));
        }
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).map_err(damaged)?;
        if files.insert(name.clone(), contents).is_some() {
            return Err(format!("it holds {name} twice: it was not made by `plugin pack`"));
        }
    }
    // The last file ends before the archive does; what follows holds the sum of its bytes.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(files)
}

/// Every file has its hash, and no hash is without its file.
fn compare(files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let listed = files.get(HASHES).ok_or_else(|| format!("it lacks {HASHES}: it was not made by `plugin pack`"))?;
    let listed = String::from_utf8_lossy(listed);
    let listed: BTreeMap<&str, &str> =
        listed.lines().filter_map(|line| line.split_once("  ")).map(|(hash, name)| (name, hash)).collect();
    if let Some(absent) = listed.keys().find(|name| !files.contains_key(**name)) {
        return Err(format!("it lacks {absent}, which its {HASHES} lists: copy or pack it again"));
    }
    for (name, contents) in files.iter().filter(|(name, _)| *name != HASHES) {
        let Some(expected) = listed.get(name.as_str()) else {
            return Err(format!("its {HASHES} does not list {name}: something was added to it, do not use it"));
        };
        let found = sha256(contents);
        if found != *expected {
            return Err(format!(
                "{name} in it has SHA-256 {found}, but its {HASHES} says {expected}: it was changed after packing, do not use it"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use prorl_sdk::export::description::{Description, Kind};
    use serde_json::json;

    fn survey() -> Survey {
        let hello = HelloFacts {
            package: "mine".into(),
            version: "0.1.0".into(),
            abi_version: 1,
            sdk_version: "0.1.0".into(),
            target: "x86_64-linux".into(),
            libtorch: "2.11.0".into(),
            panic: "unwind".into(),
        };
        let component = Description {
            kind: Kind::RewardModel,
            name: "my/reward".into(),
            doc: String::new(),
            schema: json!({ "properties": { "width": { "minimum": 1 } } }),
            defaults: json!({}),
            capabilities: Vec::new(),
            metrics: Vec::new(),
        };
        Survey { hello, components: vec![component] }
    }

    fn whole() -> BTreeMap<String, Vec<u8>> {
        files(&packed("libmine.so", vec![1, 2, 3], &survey()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked_and_packing_repeats() {
        let bytes = packed("libmine.so", vec![1, 2, 3], &survey()).unwrap();
        assert_eq!(bytes, packed("libmine.so", vec![1, 2, 3], &survey()).unwrap());
        assert!(is_one(&bytes));
        let unpacked = unpacked(&bytes).unwrap();
        assert_eq!((unpacked.name.as_str(), unpacked.library.as_slice()), ("libmine.so", &[1u8, 2, 3][..]));
        assert_eq!(unpacked.hello, survey().hello);
        let names: Vec<String> = whole().into_keys().collect();
        assert_eq!(names, ["SHA256SUMS", "hello.json", "libmine.so", "schemas/reward-model-my_reward.json"]);
    }

    #[test]
    fn whatever_was_changed_added_or_taken_out_is_named() {
        assert_eq!(compare(&whole()), Ok(()));
        let after = |change: fn(&mut BTreeMap<String, Vec<u8>>)| {
            let mut files = whole();
            change(&mut files);
            compare(&files).unwrap_err()
        };
        let changed = after(|files| files.get_mut("libmine.so").unwrap()[0] = 9);
        assert!(changed.contains("libmine.so") && changed.contains("was changed"), "{changed}");
        let added = after(|files| drop(files.insert("extra".into(), Vec::new())));
        assert!(added.contains("does not list extra"), "{added}");
        let taken = after(|files| drop(files.remove("hello.json")));
        assert!(taken.contains("lacks hello.json"), "{taken}");
        assert!(after(|files| drop(files.remove(HASHES))).contains("lacks SHA256SUMS"));
    }

    #[test]
    fn a_cut_archive_is_refused() {
        let bytes = packed("libmine.so", vec![1, 2, 3], &survey()).unwrap();
        for length in [2, 20, bytes.len() / 2, bytes.len() - 9] {
            assert!(unpacked(&bytes[..length]).is_err(), "{length}");
        }
    }
}
