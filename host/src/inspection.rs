//! What there is: versions, components, parameters.

use crate::outln;
use crate::plugins::{Component, PluginError, Registry, search};
use anyhow::Result;
use prorl_abi::cuda;
use prorl_sdk::capabilities;
use prorl_sdk::export::description::Kind;
use serde_json::Value;

/// Prints versions of host, contract and libtorch.
pub fn versions(registry: &Registry) {
    outln!("prorl-host {}", env!("CARGO_PKG_VERSION"));
    outln!("plugin ABI {}", prorl_abi::hello::ABI_VERSION);
    outln!("libtorch   {}", prorl_abi::hello::LIBTORCH_VERSION);
    outln!("CUDA       {}", cuda_in_words());
    outln!("components {}", registry.components().len());
}

fn cuda_in_words() -> String {
    match cuda::open() {
        Ok(()) if tch::Cuda::is_available() => "available".into(),
        Ok(()) => "not available: the driver shows no GPU".into(),
        Err(error) => format!("not available: {error}"),
    }
}

/// Prints every component in a line.
pub fn list(registry: &Registry) {
    let width = registry.components().iter().map(|it| it.description.name.len()).max().unwrap_or(0);
    let mut kind: Option<Kind> = None;
    for component in registry.components() {
        let description = &component.description;
        if kind != Some(description.kind) {
            outln!("{}{}", if kind.is_some() { "\n" } else { "" }, heading(description.kind));
            kind = Some(description.kind);
        }
        outln!("  {:width$}  {}{}", description.name, description.doc, place(component));
    }
}

/// The library, where it does not lie beside the binary.
fn place(component: &Component) -> String {
    let library = &component.library;
    if library.built_in {
        return "  [built in]".into();
    }
    if library.path.parent() == search::binary_folder().as_deref() {
        return String::new();
    }
    format!("  [{} {}, {}]", library.hello.package, library.hello.version, library.path.display())
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Tokenizer => "tokenizers",
        Kind::RewardModel => "reward models",
        Kind::Policy => "policies",
        Kind::Algorithm => "algorithms",
    }
}

/// Prints all there is to know of the components called `name`.
///
/// # Errors
/// There is none; names the nearest.
pub fn info(registry: &Registry, name: &str) -> Result<()> {
    let found: Vec<&Component> = registry.components().iter().filter(|it| it.description.name == name).collect();
    if found.is_empty() {
        let names = registry.components().iter().map(|it| it.description.name.as_str());
        let near = names.max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let hint = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        return Err(PluginError::Unknown { kind: "component".into(), name: name.into(), hint }.into());
    }
    for component in found {
        print_component(component)?;
    }
    Ok(())
}

fn print_component(component: &Component) -> Result<()> {
    let (description, library) = (&component.description, &component.library);
    outln!("{} `{}` — {}", description.kind, description.name, description.doc);
    let hello = &library.hello;
    outln!("  library       {} {}", hello.package, hello.version);
    outln!("  file          {}{}", if library.built_in { "built in: " } else { "" }, library.path.display());
    outln!("  built for     ABI {}, SDK {}, libtorch {}", hello.abi_version, hello.sdk_version, hello.libtorch);
    outln!("  SHA-256       {}", library.hash()?);
    if !description.capabilities.is_empty() {
        outln!("  capabilities  {}", description.capabilities.join(", "));
    }
    let lacking: Vec<&str> =
        capabilities::of_kind(description.kind).map(|it| it.name).filter(|it| !description.has(it)).collect();
    if !lacking.is_empty() {
        outln!("  not offered   {}", lacking.join(", "));
    }
    outln!("\n  parameters");
    print_parameters(&description.schema, &description.schema, &description.defaults, "    ");
    if !description.metrics.is_empty() {
        outln!("\n  metrics");
        for metric in &description.metrics {
            outln!("    {} {} — {}", metric.name, bracketed(&metric.unit), metric.doc);
        }
    }
    outln!();
    Ok(())
}

fn bracketed(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!("[{unit}]") }
}

/// Prints name, default, type, range and doc of every property; nested structs are indented.
fn print_parameters(schema: &Value, root: &Value, defaults: &Value, indent: &str) {
    let properties = schema["properties"].as_object();
    if properties.is_none_or(serde_json::Map::is_empty) {
        outln!("{indent}none");
    }
    for (name, property) in properties.into_iter().flatten() {
        let resolved = referred(property, root);
        let doc = [property, resolved].iter().find_map(|it| it["description"].as_str()).unwrap_or_default();
        let doc = doc.replace('\n', " ");
        if resolved["properties"].is_object() {
            outln!("{indent}{name}  {doc}");
            print_parameters(resolved, root, &defaults[name], &format!("{indent}  "));
        } else {
            outln!("{indent}{name} = {}  ({})  {doc}", defaults[name], type_and_range(resolved, root));
        }
    }
}

fn referred<'a>(property: &'a Value, root: &'a Value) -> &'a Value {
    let reference = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str());
    reference.and_then(|path| root.pointer(path.trim_start_matches('#'))).unwrap_or(property)
}

fn type_and_range(property: &Value, root: &Value) -> String {
    let choices: Vec<&Value> = match (&property["enum"], &property["oneOf"]) {
        (Value::Array(choices), _) => choices.iter().collect(),
        (_, Value::Array(choices)) => choices.iter().map(|it| &referred(it, root)["const"]).collect(),
        _ => Vec::new(),
    };
    if !choices.is_empty() {
        return choices.iter().map(|it| it.to_string()).collect::<Vec<_>>().join(" | ");
    }
    let kind = match &property["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "value".into(),
    };
    let bound = |name: &str| property[name].as_number();
    let low = bound("minimum").map(|it| (it, "[", "at least"));
    let low = low.or(bound("exclusiveMinimum").map(|it| (it, "(", "above")));
    let high = bound("maximum").map(|it| (it, "]", "at most"));
    let high = high.or(bound("exclusiveMaximum").map(|it| (it, ")", "below")));
    match (low, high) {
        (Some((low, opens, _)), Some((high, closes, _))) => format!("{kind} in {opens}{low}, {high}{closes}"),
        (Some((bound, _, words)), None) | (None, Some((bound, _, words))) => format!("{kind}, {words} {bound}"),
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_and_ranges_are_those_of_the_schema() {
        let of = |property: Value| type_and_range(&property, &Value::Null);
        assert_eq!(of(json!({ "type": "number", "minimum": 0.0, "maximum": 1.0 })), "number in [0.0, 1.0]");
        assert_eq!(of(json!({ "type": "integer", "minimum": 1 })), "integer, at least 1");
        assert_eq!(of(json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 })), "number in [0, 1)");
        assert_eq!(of(json!({ "type": "number", "exclusiveMinimum": 0.5 })), "number, above 0.5");
        assert_eq!(of(json!({ "type": ["string", "null"] })), "string or null");
        assert_eq!(of(json!({ "oneOf": [{ "const": "k1" }, { "const": "k3" }] })), "\"k1\" | \"k3\"");
    }
}
