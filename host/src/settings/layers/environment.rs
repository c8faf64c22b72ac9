//! Settings of the environment: `PRORL__RL__LEARNING_RATE=1e-4`.
//!
//! Two underscores stand for the dot, so that names may hold single ones, and so that other variables of the
//! host (`PRORL_CACHE`, `PRORL_PLUGIN_PATH`) are no settings.

use super::{Layer, text_taken_apart};
use crate::settings::error::SettingsError;
use crate::settings::origin::Origin;
use config::{Environment, Source};
use std::collections::BTreeMap;

const PREFIX: &str = "PRORL";
const SEPARATOR: &str = "__";

/// Whether the variable of this name is a setting.
pub fn is_setting(variable: &str) -> bool {
    variable.get(..PREFIX.len() + SEPARATOR.len()).is_some_and(|start| start.eq_ignore_ascii_case("PRORL__"))
}

/// The settings among these variables; an empty one counts as unset.
pub fn entries(variables: &[(String, String)]) -> Result<Layer, SettingsError> {
    let source = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .ignore_empty(true)
        .source(Some(variables.iter().cloned().collect()));
    let texts: BTreeMap<_, _> = source.collect()?.into_iter().collect();
    let mut layer = Layer::new();
    for (key, text) in texts {
        let variable = format!("{PREFIX}{SEPARATOR}{}", key.to_uppercase().replace('.', SEPARATOR));
        let parts = key.split('.').map(str::to_owned).collect();
        layer.extend(text_taken_apart(parts, &text.into_string()?, &Origin::Environment(variable)));
    }
    Ok(layer)
}
