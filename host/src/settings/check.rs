//! Whether a value is what its schema says: type, range, choices.

use super::nearest;
use super::tree::alternatives;
use serde_json::Value;

/// What the value should have been; none if it is right.
pub fn complaint(value: &Value, node: &Value) -> Option<String> {
    if let Some(choices) = choices(node) {
        return (!choices.contains(&value)).then(|| wrong_choice(value, &choices));
    }
    let options = alternatives(node);
    if options.len() > 1 {
        let complaints: Vec<String> = options.iter().map_while(|option| complaint(value, option)).collect();
        return (complaints.len() == options.len()).then(|| complaints.join(" or "));
    }
    let types = types(node);
    if !types.is_empty() && !types.iter().any(|name| has_type(value, name)) {
        return Some(types.into_iter().filter(|name| *name != "null").map(described).collect::<Vec<_>>().join(" or "));
    }
    match value {
        Value::Number(number) => out_of_range(number.as_f64()?, node),
        Value::Array(items) => wrong_item(items, node),
        _ => None,
    }
}

/// The texts or numbers among which to choose, if that is what the schema says.
fn choices(node: &Value) -> Option<Vec<&Value>> {
    if let Some(constant) = node.get("const") {
        return Some(vec![constant]);
    }
    if let Some(values) = node.get("enum").and_then(Value::as_array) {
        return Some(values.iter().collect());
    }
    let options = node.get("oneOf")?.as_array()?;
    let each: Option<Vec<_>> = options.iter().map(choices).collect();
    each.map(|lists| lists.concat())
}

fn wrong_choice(value: &Value, choices: &[&Value]) -> String {
    let near = nearest::nearest(value.as_str().unwrap_or_default(), choices.iter().filter_map(|it| it.as_str()));
    let hint = near.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
    let texts: Vec<String> = choices.iter().map(|choice| choice.to_string()).collect();
    match &texts[..] {
        [only] => format!("{only}{hint}"),
        _ => format!("one of {}{hint}", texts.join(", ")),
    }
}

fn types(node: &Value) -> Vec<&str> {
    match node.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn described(name: &str) -> &str {
    match name {
        "integer" => "an integer",
        "number" => "a number",
        "string" => "a text",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

fn out_of_range(number: f64, node: &Value) -> Option<String> {
    let bound = |name: &str| node.get(name).filter(|limit| limit.is_number());
    let limit = |name| bound(name).and_then(Value::as_f64);
    let inside = limit("minimum").is_none_or(|it| number >= it)
        && limit("exclusiveMinimum").is_none_or(|it| number > it)
        && limit("maximum").is_none_or(|it| number <= it)
        && limit("exclusiveMaximum").is_none_or(|it| number < it);
    let words =
        [("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"), ("exclusiveMaximum", "below")];
    let parts = words.into_iter().filter_map(|(name, word)| Some(format!("{word} {}", bound(name)?)));
    (!inside).then(|| parts.collect::<Vec<_>>().join(" and "))
}

fn wrong_item(items: &[Value], node: &Value) -> Option<String> {
    let fewest = node.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    if (items.len() as u64) < fewest {
        return Some(format!("a list of at least {fewest}"));
    }
    let schema = node.get("items")?;
    items.iter().find_map(|item| complaint(item, schema)).map(|expected| format!("a list whose items are {expected}"))
}
