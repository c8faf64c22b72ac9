//! One of the encoders that are here, chosen by a parameter.

use crate::encoder::SequenceEncoder;
use crate::gru4rec::{self, Gru4RecParameters};
use crate::sasrec::{self, SasRecParameters};
use prorl_sdk::error::Result;
use prorl_sdk::parameters::Parameters;
use prorl_sdk::setup::Setup;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Which encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// SASRec, a causal Transformer.
    #[default]
    Sasrec,
    /// GRU4Rec, a recurrent network.
    Gru4rec,
}

/// Which encoder, and the parameters of each; those of the other one are of no account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EitherParameters {
    /// The encoder.
    pub model: ModelName,
    /// SASRec's parameters.
    pub sasrec: SasRecParameters,
    /// GRU4Rec's parameters.
    pub gru4rec: Gru4RecParameters,
}

impl Parameters for EitherParameters {
    fn validate(&self) -> Result<()> {
        match self.model {
            ModelName::Sasrec => self.sasrec.validate(),
            ModelName::Gru4rec => self.gru4rec.validate(),
        }
    }
}

/// The encoder that was chosen.
pub enum Either {
    /// SASRec.
    Sasrec(sasrec::Encoder),
    /// GRU4Rec.
    Gru4rec(gru4rec::Encoder),
}

impl SequenceEncoder for Either {
    type Parameters = EitherParameters;

    fn create(parameters: EitherParameters, setup: &Setup) -> Result<Self> {
        Ok(match parameters.model {
            ModelName::Sasrec => Self::Sasrec(sasrec::Encoder::create(parameters.sasrec, setup)?),
            ModelName::Gru4rec => Self::Gru4rec(gru4rec::Encoder::create(parameters.gru4rec, setup)?),
        })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        match self {
            Self::Sasrec(encoder) => encoder.parameters(),
            Self::Gru4rec(encoder) => encoder.parameters(),
        }
    }

    fn item_embedding(&self) -> &Tensor {
        match self {
            Self::Sasrec(encoder) => encoder.item_embedding(),
            Self::Gru4rec(encoder) => encoder.item_embedding(),
        }
    }

    fn negatives(&self) -> i64 {
        match self {
            Self::Sasrec(encoder) => encoder.negatives(),
            Self::Gru4rec(encoder) => encoder.negatives(),
        }
    }

    fn window(&self) -> Option<i64> {
        match self {
            Self::Sasrec(encoder) => encoder.window(),
            Self::Gru4rec(encoder) => encoder.window(),
        }
    }

    fn states(&self, items: &Tensor, training: bool) -> Tensor {
        match self {
            Self::Sasrec(encoder) => encoder.states(items, training),
            Self::Gru4rec(encoder) => encoder.states(items, training),
        }
    }

    fn states_of_branches(&self, histories: &Tensor, paths: &Tensor) -> Option<[Tensor; 2]> {
        match self {
            Self::Sasrec(encoder) => encoder.states_of_branches(histories, paths),
            Self::Gru4rec(encoder) => encoder.states_of_branches(histories, paths),
        }
    }

    fn states_of_padded(&self, items: &Tensor) -> Tensor {
        match self {
            Self::Sasrec(encoder) => encoder.states_of_padded(items),
            Self::Gru4rec(encoder) => encoder.states_of_padded(items),
        }
    }
}
