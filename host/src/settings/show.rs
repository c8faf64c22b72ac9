//! Settings as text.

use super::error::SettingsError;
use super::resolve::Resolved;
use serde_json::Value;
use std::fmt::Write;

/// Longer values do not push the origins of all others to the right.
const WIDEST_VALUE: usize = 32;

impl Resolved {
    /// Every value with its origin, aligned, as `key = value  # origin`; it is TOML.
    pub fn show(&self) -> String {
        let rows = self.rows();
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let keys = width(&mut rows.iter().map(|row| row.key.len()));
        let values = width(&mut rows.iter().map(|row| row.value.len()).filter(|length| *length <= WIDEST_VALUE));
        let mut text = String::new();
        let mut section = "";
        for row in &rows {
            let own = row.key.split_once('.').map_or("", |(section, _)| section);
            if own != section && !text.is_empty() {
                text.push('\n');
            }
            section = own;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:keys$} = {:values$}  # {}", row.key, row.value, row.origin);
        }
        text
    }

    /// The settings as a file that reads back to the same.
    ///
    /// # Errors
    /// A value has no counterpart in TOML.
    pub fn to_toml(&self) -> Result<String, SettingsError> {
        Ok(toml::to_string_pretty(&self.settings)?)
    }

    /// Top-level values first, then table by table.
    fn rows(&self) -> Vec<Row> {
        let settings = serde_json::to_value(&self.settings).unwrap_or_default();
        let value = |key: &str| settings.pointer(&format!("/{}", key.replace('.', "/")));
        let set = self.origins.iter().filter_map(|(key, origin)| Some(Row::new(key, value(key)?, origin.to_string())));
        let defaults = self.component_defaults.iter();
        let defaults = defaults.map(|(key, value, name)| Row::new(key, value, format!("default of {name}")));
        let mut rows: Vec<Row> = set.chain(defaults).collect();
        rows.sort_by_cached_key(|row| (row.key.contains('.'), row.key.clone()));
        rows
    }
}

struct Row {
    key: String,
    value: String,
    origin: String,
}

impl Row {
    fn new(key: &str, value: &Value, origin: String) -> Self {
        Self { key: key.into(), value: toml_value(value), origin }
    }
}

fn toml_value(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}
