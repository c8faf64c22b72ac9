//! What `plugin info` says of a parameter's range is what the component holds it to.
#![allow(clippy::unwrap_used)]

use prorl_host::plugins::Registry;
use prorl_sdk::export::description::Description;
use serde_json::{Value, json};

/// Numeric parameters by path, nested tables too, with their schema.
fn numeric<'a>(schema: &'a Value, root: &'a Value, path: Vec<String>, found: &mut Vec<(Vec<String>, &'a Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let reference = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str());
        let property = reference.and_then(|it| root.pointer(it.trim_start_matches('#'))).unwrap_or(property);
        let path = [path.clone(), vec![name.clone()]].concat();
        if property["properties"].is_object() {
            numeric(property, root, path, found);
        } else if ["number", "integer"].iter().any(|kind| property["type"] == *kind) {
            found.push((path, property));
        }
    }
}

fn set(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, name| json!({ name: inner }))
}

/// Whether the component refuses this value for being out of its range.
fn refused(registry: &Registry, component: &Description, path: &[String], value: &Value) -> bool {
    let name = path.last().unwrap();
    let answer = registry.complete(component.kind, &component.name, &set(path, value.clone()));
    answer.is_err_and(|error| {
        let said = error.to_string();
        said.contains(&format!("{name}` is ")) && said.contains("should be in")
    })
}

#[test]
fn every_range_that_is_checked_is_shown() {
    let registry = Registry::open(&[]).unwrap();
    let (mut missing, mut bounds) = (Vec::new(), 0);
    for component in registry.components() {
        let component = &component.description;
        let mut parameters = Vec::new();
        numeric(&component.schema, &component.schema, Vec::new(), &mut parameters);
        for (path, schema) in parameters {
            for (value, keys) in [
                (json!(-1_000_000_000_000_i64), ["minimum", "exclusiveMinimum"]),
                (json!(1_000_000_000_000_i64), ["maximum", "exclusiveMaximum"]),
            ] {
                if refused(&registry, component, &path, &value) {
                    bounds += 1;
                    if keys.iter().all(|key| schema[*key].is_null()) {
                        missing.push(format!(
                            "{} `{}`: {} has no {}",
                            component.kind,
                            component.name,
                            path.join("."),
                            keys[0]
                        ));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(bounds > 100, "only {bounds} bounds were seen");
}
