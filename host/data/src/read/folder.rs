//! The files of a data set's folder.

use crate::error::DataError;
use std::path::{Path, PathBuf};

/// A folder and its files in order of name.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    files: Vec<PathBuf>,
}

impl Folder {
    /// Lists a folder.
    ///
    /// # Errors
    /// It cannot be listed, or is a file.
    pub(crate) fn list(path: &Path) -> Result<Self, DataError> {
        if path.is_file() {
            let problem = "is a file; give the folder that holds the data set's files";
            return Err(DataError::folder(path, problem));
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(DataError::io("list the data folder", path))? {
            let entry = entry.map_err(DataError::io("list the data folder", path))?.path();
            if entry.is_file() {
                files.push(entry);
            }
        }
        files.sort();
        Ok(Self { path: path.to_owned(), files })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<&Path> {
        self.files.iter().find(|file| file.file_name().is_some_and(|it| it == name)).map(PathBuf::as_path)
    }

    /// Files that end in `.extension`.
    pub(crate) fn with_extension(&self, extension: &str) -> Vec<&Path> {
        let matching = self.files.iter().filter(|file| file.extension().is_some_and(|it| it == extension));
        matching.map(PathBuf::as_path).collect()
    }

    /// The one file that ends in `.extension`; of several, the one called as the folder is.
    ///
    /// # Errors
    /// There are several, none of which is called as the folder is.
    pub(crate) fn one(&self, extension: &str) -> Result<Option<&Path>, DataError> {
        match self.with_extension(extension)[..] {
            [] => Ok(None),
            [file] => Ok(Some(file)),
            ref several => {
                let own_name = self.path.file_name();
                let own = several.iter().find(|file| file.file_stem() == own_name).copied();
                own.map(Some).ok_or_else(|| {
                    let names = several.iter().map(|file| file_name(file)).collect::<Vec<_>>().join(", ");
                    let problem = format!("holds several `.{extension}` files ({names}); keep one a folder");
                    DataError::folder(&self.path, problem)
                })
            }
        }
    }

    /// Like [`one`](Self::one), but the file must be there; `purpose` says what for.
    ///
    /// # Errors
    /// There is none, or several.
    pub(crate) fn required(&self, extension: &str, purpose: &str) -> Result<&Path, DataError> {
        self.one(extension)?.ok_or_else(|| {
            DataError::folder(
                &self.path,
                format!("has no `*.{extension}` file, which holds {purpose}; found {}", self.contents()),
            )
        })
    }

    /// The files' names, for messages.
    pub(crate) fn contents(&self) -> String {
        const SHOWN: usize = 12;
        match self.files.len() {
            0 => "nothing".into(),
            count => {
                let mut names: Vec<String> = self.files.iter().take(SHOWN).map(|file| file_name(file)).collect();
                if count > SHOWN {
                    names.push(format!("{} more", count - SHOWN));
                }
                names.join(", ")
            }
        }
    }
}

/// A file's name without its folder.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A file's name without folder and extension.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn of_several_files_the_folders_own_is_taken() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("games");
        std::fs::create_dir(&path).unwrap();
        for name in ["games.inter", "other.inter", "a.item", "b.item"] {
            std::fs::write(path.join(name), "").unwrap();
        }
        let folder = Folder::list(&path).unwrap();
        assert_eq!(folder.one("inter").unwrap().map(file_name).unwrap(), "games.inter");
        assert!(folder.one("item").unwrap_err().to_string().contains("a.item, b.item"));
        assert!(folder.required("user", "users").unwrap_err().to_string().contains("games.inter"));
        assert!(folder.one("user").unwrap().is_none());
    }
}
