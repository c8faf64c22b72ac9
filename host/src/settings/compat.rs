//! Settings that repeat what the published code does where the method departs from it.

use super::components::{KnownComponents, chosen};
use super::layers::{Entry, Given, Layer};
use super::origin::Origin;
use prorl_sdk::export::description::Kind;
use serde_json::{Value, json};

/// The key, and the value that asks for the published behaviour.
const KEY: &str = "compat";
const PUBLISHED: &str = "published";

/// Puts the published behaviour below the layer that asks for it, so that this layer and those above have the last word
/// on each of its settings:
///
/// - `rl.top_k = 50`: samples come from the 50 likeliest tokens, log-probabilities from all;
/// - `rl.left_padded_rewards = true`: the reward model reads its sequences padded on the wrong side;
/// - `algo.rewards.synchronised = false`: every process has moments of its own.
pub fn expand(layers: &mut Vec<Layer>, known: &dyn KnownComponents) {
    let asked = |layer: &Layer| layer.iter().rev().find(|entry| entry.key == [KEY]).map(|entry| text(&entry.given));
    let Some((place, value)) = layers.iter().enumerate().rev().find_map(|(place, layer)| Some((place, asked(layer)?)))
    else {
        return;
    };
    if value == PUBLISHED {
        layers.insert(place, published(layers, known));
    }
}

fn published(layers: &[Layer], known: &dyn KnownComponents) -> Layer {
    let mut values = vec![("rl.top_k", json!(50)), ("rl.left_padded_rewards", json!(true))];
    // Another's algorithm need not have moments.
    let schema = chosen(layers, "algo").and_then(|(name, _)| known.parameter_schema(Kind::Algorithm, &name));
    if schema.is_some_and(|schema| schema.to_string().contains("\"synchronised\"")) {
        values.push(("algo.rewards.synchronised", json!(false)));
    }
    let entry = |(key, value): (&str, Value)| Entry {
        key: key.split('.').map(str::to_owned).collect(),
        given: Given::Value(value),
        origin: Origin::Compat,
    };
    values.into_iter().map(entry).collect()
}

fn text(given: &Given) -> String {
    match given {
        Given::Text(text) => text.trim_matches(['"', '\'']).to_owned(),
        Given::Value(value) => value.as_str().unwrap_or_default().to_owned(),
    }
}
