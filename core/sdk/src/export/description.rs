//! What a component says of itself.

use crate::metrics::MetricDeclaration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Gives items codes.
    Tokenizer,
    /// Simulates users.
    RewardModel,
    /// Proposes paths.
    Policy,
    /// Learns from judged paths.
    Algorithm,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Tokenizer => "tokenizer",
            Kind::RewardModel => "reward model",
            Kind::Policy => "policy",
            Kind::Algorithm => "algorithm",
        })
    }
}

/// A component, as `plugin info` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// What it is.
    pub kind: Kind,
    /// How it is asked for.
    pub name: String,
    /// One sentence.
    pub doc: String,
    /// JSON Schema of its parameters, with defaults and docs.
    pub schema: Value,
    /// Its parameters' defaults.
    pub defaults: Value,
    /// Optional calls that it answers.
    pub capabilities: Vec<String>,
    /// Metrics that it reports.
    pub metrics: Vec<MetricDeclaration>,
}

impl Description {
    /// Whether it lists a capability.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|own| own == capability)
    }
}
