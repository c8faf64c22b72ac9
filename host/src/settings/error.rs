//! What can be wrong with settings; every message says where it was set and what would be right.

use super::origin::Origin;
use prorl_sdk::export::description::Kind;
use std::path::PathBuf;
use thiserror::Error;

/// Settings that make no sense.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// There is no such setting.
    #[error("there is no setting `{key}` ({origin}){hint}")]
    UnknownKey {
        /// As it was spelt.
        key: String,
        /// Where.
        origin: Origin,
        /// The nearest known settings, as the end of a sentence.
        hint: String,
    },
    /// No loaded plugin has such a component.
    #[error("there is no {kind} `{name}` (`{key}`, {origin}){hint}")]
    UnknownComponent {
        /// What was looked for.
        kind: Kind,
        /// Under which name.
        name: String,
        /// The setting that asked for it.
        key: String,
        /// Where that was set.
        origin: Origin,
        /// The nearest known names, as the end of a sentence.
        hint: String,
    },
    /// There is no such preset.
    #[error("there is no preset `{name}`{hint}")]
    UnknownPreset {
        /// As it was asked for.
        name: String,
        /// What there is, as the end of a sentence.
        hint: String,
    },
    /// A value has another type, or lies outside its range.
    #[error("`{key}` is {value} ({origin}), but should be {expected}")]
    Value {
        /// The setting.
        key: String,
        /// Its value, as TOML.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// Type, range or choices.
        expected: String,
    },
    /// Values do not go together.
    #[error("`{key}` is {value} ({origin}): {reason}")]
    Conflict {
        /// The setting.
        key: String,
        /// Its value, as TOML.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// What it conflicts with and what to do.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read the settings in {path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no TOML.
    #[error("cannot understand {place}: {reason}")]
    Syntax {
        /// Preset or file.
        place: String,
        /// What is wrong, and in which line.
        reason: String,
    },
    /// `--set` was given something else than `key=value`.
    #[error("`{0}` should be key=value, e.g. `rl.learning_rate=1e-4`")]
    Assignment(String),
    /// The layers cannot be merged.
    #[error("cannot merge the settings: {0}")]
    Merge(#[from] config::ConfigError),
    /// Merged settings do not fit their types although every value did.
    #[error("cannot use the settings: {0}")]
    Unfit(#[from] serde_json::Error),
    /// Settings cannot be written as TOML.
    #[error("cannot write the settings as TOML: {0}")]
    Write(#[from] toml::ser::Error),
}
