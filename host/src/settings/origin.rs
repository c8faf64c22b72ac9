//! Where a value comes from.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The place where a value was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A preset, by name or path.
    Preset {
        /// As it was asked for.
        name: String,
        /// Line of the file, from 1.
        line: usize,
    },
    /// A file given with `--config`.
    File {
        /// As it was given.
        path: PathBuf,
        /// Line of the file, from 1.
        line: usize,
    },
    /// What `compat = "published"` stands for.
    Compat,
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name, e.g. `--algo`.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => formatter.write_str("default"),
            Origin::Preset { name, line } => write!(formatter, "preset {name}:{line}"),
            Origin::File { path, line } => write!(formatter, "file {}:{line}", path.display()),
            Origin::Compat => formatter.write_str("compat = published"),
            Origin::Environment(variable) => write!(formatter, "environment {variable}"),
            Origin::CommandLine(flag) => write!(formatter, "command line {flag}"),
        }
    }
}

impl Origin {
    /// The origin as text for `config`, which keeps one text with every value.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Origin::Default)
    }
}

/// The origin of every value, by dotted key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Where the value of a setting comes from.
    pub fn of(&self, key: &str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Whether a setting has a value.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// All settings that have a value, with its origin.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }

    pub(super) fn insert(&mut self, key: String, origin: Origin) {
        self.0.insert(key, origin);
    }
}
