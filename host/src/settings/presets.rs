//! The presets of `configs/`, which the binary carries.

use super::error::SettingsError;
use super::nearest;
use std::path::Path;

/// The preset of a run that names neither preset, file nor data.
pub const DEFAULT_PRESET: &str = "demo";

macro_rules! preset {
    ($name:literal) => {
        ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/", $name, ".toml")))
    };
}

const PRESETS: [(&str, &str); 4] = [preset!("demo"), preset!("ml-1m"), preset!("steam"), preset!("books")];

/// Names of the presets that the binary carries.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The text of a preset: one of ours, or any TOML file.
///
/// # Errors
/// There is none of that name, or the file cannot be read.
pub fn text(name: &str) -> Result<String, SettingsError> {
    if let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) {
        return Ok((*text).into());
    }
    let path = Path::new(name);
    if path.extension().is_some() || path.components().count() > 1 {
        return std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.into(), source });
    }
    Err(SettingsError::UnknownPreset { name: name.into(), hint: nearest::name_hint(name, preset_names()) })
}
