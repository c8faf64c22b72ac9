//! A setting of the command line.

use super::{Layer, taken_apart, text_taken_apart};
use crate::settings::error::SettingsError;
use crate::settings::origin::Origin;
use serde_json::Value;
use std::str::FromStr;

/// `key=value`, as `--set` takes it or as a flag means it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    flag: String,
    key: Vec<String>,
    value: Assigned,
}

#[derive(Clone, Debug, PartialEq)]
enum Assigned {
    Text(String),
    Value(Value),
}

impl Assignment {
    /// What `flag` sets, with its type.
    pub fn flag(flag: &str, key: &str, value: impl Into<Value>) -> Self {
        let key = key.split('.').map(str::to_owned).collect();
        Self { flag: flag.into(), key, value: Assigned::Value(value.into()) }
    }

    /// Whether it sets the value of this dotted key.
    pub fn sets(&self, key: &str) -> bool {
        self.entries().iter().any(|entry| entry.dotted() == key)
    }

    pub(super) fn entries(&self) -> Layer {
        let origin = Origin::CommandLine(self.flag.clone());
        match &self.value {
            Assigned::Value(value) => taken_apart(self.key.clone(), value.clone(), &origin),
            Assigned::Text(text) => text_taken_apart(self.key.clone(), text, &origin),
        }
    }
}

impl FromStr for Assignment {
    type Err = SettingsError;

    /// `key=value` as `--set` takes it; the value is TOML, or a bare word.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let malformed = || SettingsError::Assignment(text.into());
        let (key, value) = text.split_once('=').ok_or_else(malformed)?;
        let key: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        if key.iter().any(String::is_empty) {
            return Err(malformed());
        }
        Ok(Self { flag: "--set".into(), key, value: Assigned::Text(value.trim().into()) })
    }
}
