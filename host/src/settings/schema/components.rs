//! Which plugins take part, and with which parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A component by name; every other key is one of its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// How the component is asked for; `prorl-host plugin list` shows what there is.
    pub name: String,
    /// What was set of its parameters; the component completes them with its defaults.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
}

impl Component {
    /// A component with its default parameters.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), parameters: Map::new() }
    }

    /// The parameters as the JSON object that plugins are made from.
    pub fn json(&self) -> Value {
        Value::Object(self.parameters.clone())
    }
}

/// The models by whose users the policy is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluatorSettings {
    /// Reward models that judge; the one with the reward's name is the reward model itself.
    #[schemars(length(min = 1))]
    pub names: Vec<String>,
    /// Parameters of a model, by its name.
    #[serde(flatten)]
    pub parameters: BTreeMap<String, Map<String, Value>>,
}

impl Default for EvaluatorSettings {
    fn default() -> Self {
        Self { names: vec!["sasrec".into(), "gru4rec".into()], parameters: BTreeMap::new() }
    }
}
