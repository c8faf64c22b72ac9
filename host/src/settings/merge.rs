//! Layers as sources of `config`, and its merged values back, with their origins.

use super::check::complaint;
use super::error::SettingsError;
use super::layers::{Entry, Given, Layer, typed};
use super::nearest;
use super::origin::{Origin, Origins};
use super::tree::Tree;
use config::{ConfigError, Map, Source, Value as Held, ValueKind};
use serde_json::{Number, Value};

/// A layer whose keys are known and whose values have their types; to `config`, one source of values.
#[derive(Clone, Debug)]
pub struct Checked(Vec<(Vec<String>, Value, Origin)>);

impl Checked {
    /// Checks a layer.
    pub fn new(layer: Layer, tree: &Tree, keys: &[String]) -> Result<Self, SettingsError> {
        layer.into_iter().map(|entry| checked(entry, tree, keys)).collect::<Result<_, _>>().map(Self)
    }
}

fn checked(entry: Entry, tree: &Tree, keys: &[String]) -> Result<(Vec<String>, Value, Origin), SettingsError> {
    let key = entry.dotted();
    let Some(node) = tree.node(&entry.key) else {
        return Err(SettingsError::UnknownKey { hint: nearest::key_hint(&key, keys), key, origin: entry.origin });
    };
    let value = match entry.given {
        Given::Value(value) => value,
        Given::Text(text) => typed(&text, node),
    };
    match complaint(&value, node) {
        None => Ok((entry.key, value, entry.origin)),
        Some(expected) => Err(SettingsError::Value { key, value: value.to_string(), origin: entry.origin, expected }),
    }
}

impl Source for Checked {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Held>, ConfigError> {
        let mut root = Map::new();
        for (key, value, origin) in &self.0 {
            put(&mut root, key, held(value, &origin.to_json()));
        }
        Ok(root)
    }
}

fn put(table: &mut Map<String, Held>, key: &[String], value: Held) {
    match key {
        [] => {}
        [last] => {
            // An empty table adds nothing to one that is there.
            let empty = matches!(&value.kind, ValueKind::Table(inner) if inner.is_empty());
            if !(empty && table.contains_key(last)) {
                table.insert(last.clone(), value);
            }
        }
        [first, rest @ ..] => {
            let inner = table.entry(first.clone()).or_insert_with(|| Held::new(None, Map::<String, Held>::new()));
            if let ValueKind::Table(inner) = &mut inner.kind {
                put(inner, rest, value);
            }
        }
    }
}

/// A value as `config` holds it.
fn held(value: &Value, origin: &String) -> Held {
    let kind = match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(flag) => ValueKind::Boolean(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => ValueKind::I64(integer),
            (None, Some(integer)) => ValueKind::U64(integer),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => ValueKind::String(text.clone()),
        Value::Array(items) => ValueKind::Array(items.iter().map(|item| held(item, origin)).collect()),
        Value::Object(fields) => {
            ValueKind::Table(fields.iter().map(|(name, value)| (name.clone(), held(value, origin))).collect())
        }
    };
    Held::new(Some(origin), kind)
}

/// A merged value as JSON; notes the origins on the way.
pub fn released(value: Held, key: String, origins: &mut Origins) -> Value {
    if !matches!(value.kind, ValueKind::Table(_)) {
        origins.insert(key.clone(), value.origin().map_or(Origin::Default, Origin::from_json));
    }
    match value.kind {
        ValueKind::Table(fields) => {
            let dotted = |name: &String| if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            let field = |(name, value): (String, Held)| {
                let value = released(value, dotted(&name), origins);
                (name, value)
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        kind => plain(kind),
    }
}

fn plain(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(flag) => Value::Bool(flag),
        ValueKind::I64(integer) => integer.into(),
        ValueKind::U64(integer) => integer.into(),
        ValueKind::I128(integer) => (integer as f64).into(),
        ValueKind::U128(integer) => (integer as f64).into(),
        ValueKind::Float(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        ValueKind::String(text) => Value::String(text),
        ValueKind::Array(items) => items.into_iter().map(|item| plain(item.kind)).collect(),
        ValueKind::Table(fields) => fields.into_iter().map(|(name, value)| (name, plain(value.kind))).collect(),
    }
}
