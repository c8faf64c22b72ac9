//! The schema of all settings, with the parameters of the chosen components in their places.

use super::components::{self, KnownComponents, TABLES};
use super::error::SettingsError;
use super::layers::Layer;
use super::schema::Settings;
use prorl_sdk::export::description::Kind;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Deeper, a schema refers to itself and is not followed.
const DEEPEST: usize = 16;

/// One JSON Schema without references.
pub struct Tree {
    root: Value,
}

impl Tree {
    /// The settings' schema for the components that these layers choose.
    pub fn new(layers: &[Layer], known: &dyn KnownComponents) -> Result<Self, SettingsError> {
        let generator = SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true).into_generator();
        let mut root = generator.into_root_schema_for::<Settings>().to_value();
        for table in TABLES {
            if let Some(schema) = components::schema_of_chosen(layers, table, known)? {
                let schema = inlined(&schema);
                let others = schema.get("additionalProperties").cloned().unwrap_or(json!(false));
                graft(&mut root, table.0, fields(&schema), others);
            }
        }
        let models = known.names(Kind::RewardModel).into_iter();
        let schema = |name: String| known.parameter_schema(Kind::RewardModel, &name).map(|it| (name, inlined(&it)));
        graft(&mut root, "evaluator", models.filter_map(schema).collect(), json!(false));
        hand_down_defaults(&mut root);
        Ok(Self { root })
    }

    /// The schema of a setting or table.
    pub fn node(&self, key: &[String]) -> Option<&Value> {
        key.iter().try_fold(&self.root, |node, part| child(node, part))
    }

    /// The dotted keys of all settings.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        gather(&self.root, String::new(), &mut |key, _| keys.push(key));
        keys
    }

    /// The settings below `key` that have a default, with it.
    pub fn defaults(&self, key: &str) -> Vec<(String, Value)> {
        let parts: Vec<String> = key.split('.').map(str::to_owned).collect();
        let mut defaults = Vec::new();
        if let Some(node) = self.node(&parts) {
            gather(node, key.into(), &mut |key, node| {
                defaults.extend(node.get("default").filter(|it| !it.is_null()).map(|value| (key, value.clone())));
            });
        }
        defaults
    }
}

/// A table's own default goes before those of its type's fields: ProRL centres rewards, which others do not by default.
fn hand_down_defaults(node: &mut Value) {
    let own = node.get("default").cloned();
    for (name, field) in node.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if let (Some(value), Some(field)) = (own.as_ref().and_then(|it| it.get(name)), field.as_object_mut()) {
            field.insert("default".into(), value.clone());
        }
        hand_down_defaults(field);
    }
}

/// Adds properties to a table of the root, and says what it may hold beside.
fn graft(root: &mut Value, table: &str, added: Map<String, Value>, others: Value) {
    let Some(node) = root.get_mut("properties").and_then(|it| it.get_mut(table)) else { return };
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        // A parameter of the name `name` would hide which component is meant.
        properties.extend(added.into_iter().filter(|(name, _)| name != "name" && name != "names"));
    }
    if let Some(fields) = node.as_object_mut() {
        fields.insert("additionalProperties".into(), others);
    }
}

fn fields(schema: &Value) -> Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The alternatives of a schema, itself where it has none.
pub fn alternatives(node: &Value) -> Vec<&Value> {
    let lists = ["anyOf", "oneOf"].into_iter().filter_map(|name| node.get(name)?.as_array());
    let found: Vec<&Value> = lists.flatten().collect();
    if found.is_empty() { vec![node] } else { found }
}

fn child<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    if *node == json!(true) {
        return Some(node);
    }
    let named = node.get("properties").and_then(|properties| properties.get(name));
    let any = || node.get("additionalProperties").filter(|it| it.is_object() || **it == json!(true));
    let inner = || {
        let others = alternatives(node).into_iter().filter(|it| !std::ptr::eq(*it, node));
        others.filter_map(|it| child(it, name)).next()
    };
    named.or_else(any).or_else(inner)
}

fn gather(node: &Value, key: String, found: &mut impl FnMut(String, &Value)) {
    match node.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            for (name, node) in properties {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                gather(node, key, found);
            }
        }
        None => found(key, node),
    }
}

/// The schema with every `$ref` replaced by what it refers to.
fn inlined(schema: &Value) -> Value {
    replaced(schema, schema, 0)
}

fn replaced(node: &Value, root: &Value, depth: usize) -> Value {
    match node {
        Value::Object(fields) if depth < DEEPEST => {
            let target = fields.get("$ref").and_then(Value::as_str).and_then(|it| root.pointer(it.strip_prefix('#')?));
            let mut merged = target.map(|it| replaced(it, root, depth + 1)).unwrap_or_else(|| json!({}));
            if let Some(merged) = merged.as_object_mut() {
                let own = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "$ref" | "$defs"));
                merged.extend(own.map(|(name, value)| (name.clone(), replaced(value, root, depth + 1))));
            }
            merged
        }
        Value::Array(items) => items.iter().map(|item| replaced(item, root, depth + 1)).collect(),
        other => other.clone(),
    }
}
