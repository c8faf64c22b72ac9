//! What a user may set of IRN.

use prorl_sdk::prelude::*;
use prorl_seqrec::sasrec::SasRecParameters;

/// The Transformer, and how much it heeds the objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IrnParameters {
    /// Sizes and dropout of the Transformer: SASRec's.
    pub transformer: SasRecParameters,
    /// Added to the attention to the objective, times the user's impressionability: `w_t`.
    #[schemars(range(min = 0.0))]
    pub objective_weight: f64,
    /// Added to the attention to the user's items: `w_h`.
    #[schemars(range(min = 0.0))]
    pub history_weight: f64,
    /// Most items of a path; 0 = as many as a path may have.
    #[schemars(range(min = 0))]
    pub length: i64,
}

impl Default for IrnParameters {
    fn default() -> Self {
        Self { transformer: SasRecParameters::default(), objective_weight: 1.0, history_weight: 0.05, length: 0 }
    }
}

impl Parameters for IrnParameters {
    fn validate(&self) -> Result<()> {
        self.transformer.validate()?;
        in_range("objective_weight", self.objective_weight, 0.0..)?;
        in_range("history_weight", self.history_weight, 0.0..)?;
        in_range("length", self.length, 0..)
    }
}
