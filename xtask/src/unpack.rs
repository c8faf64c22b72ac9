//! Taking libtorch out of the wheels.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use zip::ZipArchive;

/// All that a program without a GPU needs to run.
const LIBRARIES: [&str; 5] = ["libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"];

/// Puts the libraries and headers of the wheels into `tree`, as lib/ and include/.
///
/// # Errors
/// A wheel is damaged, or a file cannot be written.
pub fn unpack(wheels: &[PathBuf], tree: &Path) -> Result<()> {
    for wheel in wheels {
        let file = File::open(wheel).with_context(|| format!("cannot open {}", wheel.display()))?;
        let archive = ZipArchive::new(io::BufReader::new(file));
        let archive = archive.with_context(|| format!("{} is not a wheel", wheel.display()))?;
        unpack_one(archive, tree).with_context(|| format!("cannot unpack {}", wheel.display()))?;
    }
    Ok(())
}

fn unpack_one<R: io::Read + io::Seek>(mut archive: ZipArchive<R>, tree: &Path) -> Result<()> {
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(place) = place(Path::new(entry.name())).filter(|_| entry.is_file()) else { continue };
        let path = tree.join(place);
        let shown = || format!("cannot write {}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(tree)).with_context(shown)?;
        io::copy(&mut entry, &mut File::create(&path).with_context(shown)?).with_context(shown)?;
    }
    Ok(())
}

/// Where an entry of a wheel goes; nowhere if it is not needed, or would lead out of the tree.
fn place(entry: &Path) -> Option<PathBuf> {
    if !entry.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    if let Ok(header) = entry.strip_prefix("torch/include") {
        return Some(Path::new("include").join(header));
    }
    let name = entry.file_name()?.to_str()?;
    let in_lib = entry.parent()?.file_name()? == "lib";
    (in_lib && LIBRARIES.contains(&name)).then(|| Path::new("lib").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use zip::write::{FileOptions, ZipWriter};

    #[test]
    fn headers_and_needed_libraries_have_a_place() {
        let place = |entry: &str| place(Path::new(entry)).map(|place| place.display().to_string());
        assert_eq!(place("torch/include/ATen/Tensor.h").as_deref(), Some("include/ATen/Tensor.h"));
        assert_eq!(place("torch/lib/libtorch_cpu.so").as_deref(), Some("lib/libtorch_cpu.so"));
        assert_eq!(place("nvidia/cu13/lib/libcudart.so.13").as_deref(), Some("lib/libcudart.so.13"));
        for entry in ["torch/lib/libtorch_cuda.so", "torch/lib/libtorch.so", "torch/nn/init.py", "libc10.so"] {
            assert_eq!(place(entry), None, "{entry}");
        }
    }

    #[test]
    fn only_what_has_a_place_is_written() -> Result<()> {
        let mut wheel = ZipWriter::new(Cursor::new(Vec::new()));
        for entry in ["torch/include/a/b.h", "torch/lib/libc10.so", "torch/x.py", "torch/include/../../evil.h"] {
            wheel.start_file(entry, FileOptions::default())?;
            wheel.write_all(entry.as_bytes())?;
        }
        let outer = tempfile::tempdir()?;
        let tree = outer.path().join("tree");
        unpack_one(ZipArchive::new(wheel.finish()?)?, &tree)?;
        assert_eq!(fs::read_to_string(tree.join("include/a/b.h"))?, "torch/include/a/b.h");
        assert_eq!(fs::read_to_string(tree.join("lib/libc10.so"))?, "torch/lib/libc10.so");
        assert_eq!((fs::read_dir(&tree)?.count(), fs::read_dir(outer.path())?.count()), (2, 1));
        Ok(())
    }
}
