//! What a user may set of IPG.

use prorl_sdk::prelude::*;
use prorl_seqrec::gru4rec::Gru4RecParameters;
use prorl_seqrec::sasrec::SasRecParameters;
use prorl_seqrec::{EitherParameters, ModelName};

/// Which model represents users, and how far an item is thought to move them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IpgParameters {
    /// The model that represents users: `sasrec` or `gru4rec`.
    pub model: ModelName,
    /// Parameters of SASRec.
    pub sasrec: SasRecParameters,
    /// Parameters of GRU4Rec.
    pub gru4rec: Gru4RecParameters,
    /// Share γ of a user's representation that outlives an interaction, in [0, 1); scales all scores alike.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub gamma: f64,
    /// Items of a path; 0 = as many as a path may have.
    #[schemars(range(min = 0))]
    pub length: i64,
}

impl Default for IpgParameters {
    fn default() -> Self {
        let EitherParameters { model, sasrec, gru4rec } = EitherParameters::default();
        Self { model, sasrec, gru4rec, gamma: 0.8, length: 0 }
    }
}

impl IpgParameters {
    /// Those of the model.
    pub fn of_model(&self) -> EitherParameters {
        EitherParameters { model: self.model, sasrec: self.sasrec.clone(), gru4rec: self.gru4rec.clone() }
    }
}

impl Parameters for IpgParameters {
    fn validate(&self) -> Result<()> {
        self.of_model().validate()?;
        in_range("gamma", self.gamma, 0.0..1.0)?;
        in_range("length", self.length, 0..)
    }
}
