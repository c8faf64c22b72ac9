//! Which components were chosen, and whose parameters were set.

use super::error::SettingsError;
use super::layers::{Entry, Given, Layer, typed};
use super::nearest;
use super::origin::Origin;
use prorl_sdk::export::description::Kind;
use serde_json::{Value, json};

/// The components that the loaded plugins offer.
pub trait KnownComponents {
    /// The JSON Schema of a component's parameters; none if there is no such component.
    fn parameter_schema(&self, kind: Kind, name: &str) -> Option<Value>;
    /// The names of all components of a kind.
    fn names(&self, kind: Kind) -> Vec<String>;
}

/// The tables of the settings that hold one component, and its kind.
pub const TABLES: [(&str, Kind); 4] = [
    ("tokenizer", Kind::Tokenizer),
    ("policy", Kind::Policy),
    ("reward", Kind::RewardModel),
    ("algo", Kind::Algorithm),
];

/// The name that a layer gives to a table's component.
fn named<'a>(layer: &'a [Entry], table: &str) -> Option<(String, &'a Origin)> {
    let entry =
        layer.iter().rev().find(|entry| matches!(&entry.key[..], [first, last] if first == table && last == "name"))?;
    Some((text(&entry.given)?, &entry.origin))
}

fn text(given: &Given) -> Option<String> {
    let value = match given {
        Given::Value(value) => value.clone(),
        Given::Text(text) => typed(text, &json!({"type": "string"})),
    };
    value.as_str().map(str::to_owned)
}

/// The chosen component of a table: the name that the highest layer gives.
pub fn chosen(layers: &[Layer], table: &str) -> Option<(String, Origin)> {
    let (name, origin) = layers.iter().rev().find_map(|layer| named(layer, table))?;
    Some((name, origin.clone()))
}

/// The schema of the parameters of a table's chosen component.
pub fn schema_of_chosen(
    layers: &[Layer],
    (table, kind): (&str, Kind),
    known: &dyn KnownComponents,
) -> Result<Option<Value>, SettingsError> {
    let Some((name, origin)) = chosen(layers, table) else { return Ok(None) };
    let key = format!("{table}.name");
    known.parameter_schema(kind, &name).map(Some).ok_or_else(|| unknown(kind, &name, key, origin, known))
}

/// The error for a component that is not there.
pub fn unknown(kind: Kind, name: &str, key: String, origin: Origin, known: &dyn KnownComponents) -> SettingsError {
    let names = known.names(kind);
    let hint = nearest::name_hint(name, names.iter().map(String::as_str));
    SettingsError::UnknownComponent { kind, name: name.into(), key, origin, hint }
}

/// Leaves out parameters that a layer set for a component of its own, where a higher layer chose another.
///
/// So `--algo reinforce` works over a preset for `prorl`. A layer that names no component means whichever is
/// chosen: its parameters stay.
pub fn drop_foreign_parameters(layers: &mut [Layer]) {
    for (table, _) in TABLES {
        let Some((name, origin)) = chosen(layers, table) else { continue };
        for layer in layers.iter_mut() {
            let Some(own) = named(layer, table).map(|(own, _)| own).filter(|own| *own != name) else { continue };
            layer.retain(|entry| {
                let foreign = entry.key.len() > 1 && entry.key[0] == table && entry.key[1] != "name";
                if foreign {
                    log::debug!(
                        "`{}` ({}) is left out: it is for `{own}`, but `{name}` was chosen ({origin})",
                        entry.dotted(),
                        entry.origin
                    );
                }
                !foreign
            });
        }
    }
}

/// A model keeps its parameters whichever part it plays, so that variants with different reward models are judged by
/// the same evaluators. Where a higher layer chose another reward model, what a layer set under `reward` for its own
/// becomes that of the evaluator of its name.
pub fn keep_as_evaluator(layers: &mut [Layer], known: &dyn KnownComponents) {
    let Some((reward, _)) = chosen(layers, "reward") else { return };
    for layer in layers.iter_mut() {
        let Some(own) = named(layer, "reward").map(|(own, _)| own).filter(|own| *own != reward) else { continue };
        if known.parameter_schema(Kind::RewardModel, &own).is_none() {
            continue;
        }
        let set = |layer: &Layer, key: &[String]| layer.iter().any(|entry| entry.key == key);
        for index in 0..layer.len() {
            let key = &layer[index].key;
            if key.len() > 1 && key[0] == "reward" && key[1] != "name" {
                let moved = [&["evaluator".to_owned(), own.clone()], &key[1..]].concat();
                if !set(layer, &moved) {
                    layer[index].key = moved;
                }
            }
        }
    }
}

/// The evaluator of the reward's name is the reward model itself and takes no parameters of its own.
///
/// Those that a layer set before a higher one made that model the reward become the reward's.
///
/// # Errors
/// A layer sets parameters of an evaluator that was the reward model already.
pub fn share_reward_parameters(layers: &mut [Layer]) -> Result<(), SettingsError> {
    let Some((reward, origin)) = chosen(layers, "reward") else { return Ok(()) };
    let own = |entry: &Entry| entry.key.len() > 2 && entry.key[0] == "evaluator" && entry.key[1] == reward;
    for index in 0..layers.len() {
        let already = chosen(&layers[..=index], "reward").is_some_and(|(name, _)| name == reward);
        let Some(entry) = layers[index].iter().find(|entry| own(entry)) else { continue };
        if already {
            let reason = format!(
                "evaluator `{reward}` is the reward model itself ({origin}) and shares its parameters; set `reward.{}`",
                entry.key[2..].join(".")
            );
            let value = match &entry.given {
                Given::Value(value) => value.to_string(),
                Given::Text(text) => text.clone(),
            };
            return Err(SettingsError::Conflict { key: entry.dotted(), value, origin: entry.origin.clone(), reason });
        }
        for entry in layers[index].iter_mut().filter(|entry| own(entry)) {
            entry.key = [&["reward".to_owned()], &entry.key[2..]].concat();
        }
    }
    Ok(())
}
