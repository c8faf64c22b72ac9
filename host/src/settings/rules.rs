//! Rules that no single value's type or range can say.

use super::components::{self, KnownComponents};
use super::error::SettingsError;
use super::origin::Origins;
use super::schema::Settings;
use crate::truth;
use prorl_sdk::export::description::Kind;
use serde_json::{Value, json};

/// Checks settings whose values are each within their ranges.
///
/// # Errors
/// Names the setting, its value, what it conflicts with and what to do.
pub fn check(settings: &Settings, origins: &Origins, known: &dyn KnownComponents) -> Result<(), SettingsError> {
    device(settings, origins)?;
    cutoffs(settings, origins)?;
    evaluators(settings, origins, known)
}

fn device(settings: &Settings, origins: &Origins) -> Result<(), SettingsError> {
    let name = settings.device.as_str();
    let numbered = name.strip_prefix("cuda:").is_some_and(|index| index.parse::<usize>().is_ok());
    if numbered || ["auto", "cpu", "cuda"].contains(&name) {
        return Ok(());
    }
    Err(SettingsError::Value {
        key: "device".into(),
        value: json!(name).to_string(),
        origin: origins.of("device"),
        expected: "one of \"auto\", \"cpu\", \"cuda\", \"cuda:N\"".into(),
    })
}

fn cutoffs(settings: &Settings, origins: &Origins) -> Result<(), SettingsError> {
    let evaluation = &settings.evaluation;
    if evaluation.cutoffs.iter().all(|cutoff| *cutoff <= evaluation.beams) {
        return Ok(());
    }
    let (beams, origin) = (evaluation.beams, origins.of("evaluation.beams"));
    let reason = format!("only {beams} beams are searched (`evaluation.beams`, {origin}); none may be above that");
    Err(conflict("evaluation.cutoffs", json!(evaluation.cutoffs), origins, reason))
}

fn evaluators(settings: &Settings, origins: &Origins, known: &dyn KnownComponents) -> Result<(), SettingsError> {
    let key = "evaluator.names";
    let names = &settings.evaluator.names;
    for (index, name) in names.iter().enumerate() {
        let host_knows = name == truth::NAME;
        if !host_knows && known.parameter_schema(Kind::RewardModel, name).is_none() {
            return Err(components::unknown(Kind::RewardModel, name, key.into(), origins.of(key), known));
        }
        if names[..index].contains(name) {
            return Err(conflict(key, json!(names), origins, format!("`{name}` is there twice")));
        }
    }
    Ok(())
}

fn conflict(key: &str, value: Value, origins: &Origins, reason: String) -> SettingsError {
    SettingsError::Conflict { key: key.into(), value: value.to_string(), origin: origins.of(key), reason }
}
