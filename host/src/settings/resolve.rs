//! From layers to settings.

use super::compat;
use super::components::{self, KnownComponents};
use super::error::SettingsError;
use super::layers::{self, Sources};
use super::merge::{self, Checked};
use super::origin::Origins;
use super::rules;
use super::schema::Settings;
use super::tree::Tree;
use config::Config;
use serde_json::Value;

/// Settings, and where each value comes from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// Where each comes from.
    pub origins: Origins,
    /// Defaults of the components' parameters that nobody set: key, value, component.
    pub(super) component_defaults: Vec<(String, Value, String)>,
}

/// Settings from all sources, checked against the components that there are.
///
/// # Errors
/// A key, component or preset is unknown; a value has the wrong type, is out of range or conflicts with another;
/// a file cannot be read. The message names the setting, where it was set, and what would be right.
pub fn resolve(sources: &Sources, known: &dyn KnownComponents) -> Result<Resolved, SettingsError> {
    let mut layers = layers::collect(sources)?;
    compat::expand(&mut layers, known);
    components::keep_as_evaluator(&mut layers, known);
    components::drop_foreign_parameters(&mut layers);
    components::share_reward_parameters(&mut layers)?;
    let tree = Tree::new(&layers, known)?;
    let keys = tree.keys();
    let mut builder = Config::builder();
    for layer in layers {
        builder = builder.add_source(Checked::new(layer, &tree, &keys)?);
    }
    let mut origins = Origins::default();
    let merged = merge::released(builder.build()?.cache, String::new(), &mut origins);
    let settings: Settings = serde_json::from_value(merged)?;
    rules::check(&settings, &origins, known)?;
    let component_defaults = component_defaults(&settings, &origins, &tree);
    Ok(Resolved { settings, origins, component_defaults })
}

fn component_defaults(settings: &Settings, origins: &Origins, tree: &Tree) -> Vec<(String, Value, String)> {
    let tables = [
        ("tokenizer".to_owned(), &settings.tokenizer.name),
        ("policy".to_owned(), &settings.policy.name),
        ("reward".to_owned(), &settings.reward.name),
        ("algo".to_owned(), &settings.algo.name),
    ];
    let others = settings.evaluator.names.iter().filter(|name| **name != settings.reward.name);
    let tables = tables.into_iter().chain(others.map(|name| (format!("evaluator.{name}"), name)));
    let defaults = tables.flat_map(|(table, name)| {
        tree.defaults(&table).into_iter().map(move |(key, value)| (key, value, name.clone()))
    });
    defaults.filter(|(key, _, _)| !origins.contains(key)).collect()
}
