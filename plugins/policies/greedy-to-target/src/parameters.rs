//! What a user may set of the policy.

use prorl_sdk::prelude::*;
use prorl_seqrec::gru4rec::Gru4RecParameters;
use prorl_seqrec::sasrec::SasRecParameters;
use prorl_seqrec::{EitherParameters, ModelName};

/// Which model recommends, and how many of its recommendations are looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GreedyParameters {
    /// The model that recommends: `sasrec` or `gru4rec`.
    pub model: ModelName,
    /// Parameters of SASRec.
    pub sasrec: SasRecParameters,
    /// Parameters of GRU4Rec.
    pub gru4rec: Gru4RecParameters,
    /// How many of the likeliest items are recommended at a step.
    #[schemars(range(min = 1))]
    pub top_k: i64,
    /// Most items of a path; 0 = as many as a path may have.
    #[schemars(range(min = 0))]
    pub length: i64,
}

impl Default for GreedyParameters {
    fn default() -> Self {
        let EitherParameters { model, sasrec, gru4rec } = EitherParameters::default();
        Self { model, sasrec, gru4rec, top_k: 20, length: 0 }
    }
}

impl GreedyParameters {
    /// Those of the model.
    pub fn of_model(&self) -> EitherParameters {
        EitherParameters { model: self.model, sasrec: self.sasrec.clone(), gru4rec: self.gru4rec.clone() }
    }
}

impl Parameters for GreedyParameters {
    fn validate(&self) -> Result<()> {
        self.of_model().validate()?;
        in_range("top_k", self.top_k, 1..)?;
        in_range("length", self.length, 0..)
    }
}
