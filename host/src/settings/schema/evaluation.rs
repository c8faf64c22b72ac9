//! How the policy is measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Beam search, cutoffs and prompts of the evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Paths of a prompt, by beam search.
    #[schemars(range(min = 1))]
    pub beams: i64,
    /// The `k` of metrics such as `ioi_max@k`; none above `beams`.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub cutoffs: Vec<i64>,
    /// Prompts in a batch.
    #[schemars(range(min = 1))]
    pub batch: i64,
    /// Prompts to evaluate; 0 = all.
    #[schemars(range(min = 0))]
    pub prompts: i64,
    /// Which prompts.
    pub split: EvaluationSplit,
}

/// Which prompts a measurement is made on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluationSplit {
    /// Random targets, seen by no training.
    #[default]
    Test,
    /// Held out of the training examples for selection.
    Validation,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { beams: 10, cutoffs: vec![1, 5, 10], batch: 64, prompts: 0, split: EvaluationSplit::Test }
    }
}
