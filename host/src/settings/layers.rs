//! What was set where, before anything is checked.

mod assignment;
mod environment;
mod toml_text;

pub use assignment::Assignment;

use super::error::SettingsError;
use super::origin::Origin;
use super::presets;
use super::schema::Settings;
use serde_json::Value;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where settings are taken from, lowest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// A preset's name, or the path of a file used as one.
    pub preset: Option<String>,
    /// Files, each over the one before.
    pub files: Vec<PathBuf>,
    /// Variables; those that start with `PRORL__` are settings.
    pub environment: Vec<(String, String)>,
    /// Settings of a grid: those of all its cells, then those of one variant.
    pub grid: Vec<Vec<Assignment>>,
    /// Flags, then `--set`, in order.
    pub assignments: Vec<Assignment>,
}

impl Sources {
    /// The settings among the process's variables.
    pub fn process_environment() -> Vec<(String, String)> {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        std::env::vars_os().filter_map(text).filter(|(name, _)| environment::is_setting(name)).collect()
    }
}

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// With a type.
    Value(Value),
    /// As text, whose type is that of the setting.
    Text(String),
}

/// One value of a layer; tables are taken apart, so it is no table unless an empty one.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: Vec<String>,
    pub given: Given,
    pub origin: Origin,
}

/// The values of one source; of two for the same key, the later counts.
pub type Layer = Vec<Entry>;

impl Entry {
    /// The key with dots.
    pub fn dotted(&self) -> String {
        self.key.join(".")
    }
}

/// All layers, lowest first; the first are the defaults.
pub fn collect(sources: &Sources) -> Result<Vec<Layer>, SettingsError> {
    let mut layers = vec![taken_apart(Vec::new(), serde_json::to_value(Settings::default())?, &Origin::Default)];
    if let Some(name) = &sources.preset {
        let origin = |line| Origin::Preset { name: name.clone(), line };
        layers.push(toml_text::entries(&presets::text(name)?, origin, &format!("preset {name}"))?);
    }
    for path in &sources.files {
        let text =
            std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.clone(), source })?;
        let origin = |line| Origin::File { path: path.clone(), line };
        layers.push(toml_text::entries(&text, origin, &path.display().to_string())?);
    }
    layers.push(environment::entries(&sources.environment)?);
    layers.extend(
        sources.grid.iter().chain([&sources.assignments]).map(|it| it.iter().flat_map(Assignment::entries).collect()),
    );
    Ok(layers)
}

/// A value's parts, each with its key.
fn taken_apart(key: Vec<String>, value: Value, origin: &Origin) -> Layer {
    match value {
        Value::Null => Vec::new(),
        Value::Object(fields) if !fields.is_empty() => fields
            .into_iter()
            .flat_map(|(name, value)| taken_apart([key.as_slice(), &[name]].concat(), value, origin))
            .collect(),
        value => vec![Entry { key, given: Given::Value(value), origin: origin.clone() }],
    }
}

/// A text's parts: those of an inline table, else the text itself.
fn text_taken_apart(key: Vec<String>, text: &str, origin: &Origin) -> Layer {
    match toml_text::value(text) {
        Some(table @ Value::Object(_)) => taken_apart(key, table, origin),
        _ => vec![Entry { key, given: Given::Text(text.into()), origin: origin.clone() }],
    }
}

/// The value that a text is for a setting of this schema.
pub fn typed(text: &str, node: &Value) -> Value {
    let parsed = toml_text::value(text);
    let verbatim = || Value::String(text.into());
    match node.get("type").and_then(Value::as_str) {
        Some("array") => match parsed {
            Some(list @ Value::Array(_)) => list,
            _ => Value::Array(items(text, node)),
        },
        Some("string") => match parsed {
            Some(quoted @ Value::String(_)) => quoted,
            _ => verbatim(),
        },
        None if node.get("enum").is_some() || node.get("oneOf").is_some() => verbatim(),
        _ => parsed.unwrap_or_else(verbatim),
    }
}

/// The parts of `a,b` or `[a,b]`.
fn items(text: &str, node: &Value) -> Vec<Value> {
    let inner = text.trim();
    let inner = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(inner);
    let item = node.get("items").unwrap_or(&Value::Null);
    inner.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| typed(part, item)).collect()
}
