//! Readers, one a format, and how a folder's format is found out.

mod atomic;
mod attribute_text;
mod folder;
mod movielens;
mod prorl;
mod reading;
mod rows;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::options::{Format, ReadOptions};
use crate::world::{World, WorldOptions};
use folder::Folder;
use std::path::Path;

/// Reads the data set in `path`.
///
/// # Errors
/// See [`Dataset::open`].
pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    if options.format == Format::Generated {
        return World::generate(&WorldOptions { seed: options.seed, ..WorldOptions::default() })?.dataset(options);
    }
    let folder = Folder::list(path)?;
    match options.format {
        Format::Auto => open_as(detect(&folder)?, &folder, options),
        format => open_as(format, &folder, options),
    }
}

fn open_as(format: Format, folder: &Folder, options: &ReadOptions) -> Result<Dataset, DataError> {
    match format {
        Format::Prorl => prorl::open(folder, options),
        Format::Movielens => movielens::open(folder, options),
        Format::Atomic | Format::Auto | Format::Generated => atomic::open(folder, options),
    }
}

fn detect(folder: &Folder) -> Result<Format, DataError> {
    let any = |extensions: &[&str]| extensions.iter().any(|it| !folder.with_extension(it).is_empty());
    if any(&["train", "val"]) {
        Ok(Format::Prorl)
    } else if any(&["inter"]) {
        Ok(Format::Atomic)
    } else if folder.named("ratings.dat").is_some() {
        Ok(Format::Movielens)
    } else {
        let problem = format!(
            "holds no data set; looked for `*.train` or `*.val` (published ProRL files), `*.inter` with `*.item` \
             (RecBole atomic files) and `ratings.dat` with `movies.dat` (MovieLens), and found {}",
            folder.contents()
        );
        Err(DataError::folder(folder.path(), problem))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn message(path: &Path) -> String {
        open(path, &ReadOptions::default()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_folder_is_told_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(message(folder.path()).ends_with("and found nothing"));
        std::fs::write(folder.path().join("u.data"), "").unwrap();
        assert!(message(folder.path()).ends_with("and found u.data"));
        assert!(message(&folder.path().join("u.data")).contains("is a file"));
        assert!(message(&folder.path().join("absent")).contains("absent"));
    }

    #[test]
    fn the_generated_world_needs_no_folder() {
        let options = ReadOptions { format: Format::Generated, ..Default::default() };
        assert_eq!(open(Path::new("/nowhere"), &options).unwrap().name, "generated");
    }
}
