//! TOML with the line of every value.

use super::{Entry, Given, Layer};
use crate::settings::error::SettingsError;
use crate::settings::origin::Origin;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// The values of a file; `place` names it in messages.
pub fn entries(text: &str, origin: impl Fn(usize) -> Origin, place: &str) -> Result<Layer, SettingsError> {
    let table = DeTable::parse(text)
        .map_err(|error| SettingsError::Syntax { place: place.into(), reason: error.to_string() })?;
    let line = |offset: usize| text.get(..offset).map_or(0, |before| before.matches('\n').count()) + 1;
    let mut layer = Layer::new();
    walk(&[], table.get_ref(), &mut |key, value, offset| {
        layer.push(Entry { key, given: Given::Value(value), origin: origin(line(offset)) });
    });
    layer.sort_by_key(|entry| match &entry.origin {
        Origin::Preset { line, .. } | Origin::File { line, .. } => *line,
        _ => 0,
    });
    Ok(layer)
}

/// A single value, if the text is one.
pub fn value(text: &str) -> Option<Value> {
    DeValue::parse(text).ok().map(|value| json(value.get_ref()))
}

fn walk(key: &[String], table: &DeTable<'_>, found: &mut impl FnMut(Vec<String>, Value, usize)) {
    for (name, value) in table {
        let key = [key, &[name.get_ref().to_string()]].concat();
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => walk(&key, inner, found),
            leaf => found(key, json(leaf), name.span().start),
        }
    }
}

fn json(value: &DeValue<'_>) -> Value {
    let items = |items: &[Spanned<DeValue<'_>>]| items.iter().map(|item| json(item.get_ref())).collect();
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(integer) => json_integer(integer),
        DeValue::Float(float) => json_float(float),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(array) => Value::Array(items(array)),
        DeValue::Table(table) => {
            let field = |(name, value): (&Spanned<_>, &Spanned<_>)| (text_of(name), json(value.get_ref()));
            Value::Object(table.iter().map(field).collect::<Map<_, _>>())
        }
    }
}

fn text_of(name: &Spanned<std::borrow::Cow<'_, str>>) -> String {
    name.get_ref().to_string()
}

/// Numbers that JSON has not (`inf`, `nan`, too large ones) stay text, so that the check of types names them.
fn json_integer(integer: &DeInteger<'_>) -> Value {
    i64::from_str_radix(integer.as_str(), integer.radix())
        .map_or_else(|_| Value::String(integer.to_string()), Value::from)
}

fn json_float(float: &DeFloat<'_>) -> Value {
    let number = float.as_str().parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| Value::String(float.to_string()), Value::Number)
}
