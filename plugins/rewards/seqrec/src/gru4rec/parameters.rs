//! What a user may set of GRU4Rec.

use prorl_sdk::error::Result;
use prorl_sdk::parameters::{Parameters, in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of GRU4Rec; defaults are RecBole's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gru4RecParameters {
    /// Width of item embeddings and states, at least 1.
    #[schemars(range(min = 1))]
    pub embedding: i64,
    /// Width of the recurrent layers, at least 1.
    #[schemars(range(min = 1))]
    pub hidden: i64,
    /// Recurrent layers, at least 1.
    #[schemars(range(min = 1))]
    pub layers: i64,
    /// Dropout of item embeddings, in [0, 1).
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Items that a training step compares with: so many drawn anew for every step, the same for all its positions; 0: all
    /// items, as RecBole. With hundreds of thousands of items, a few thousand cost a hundredth and learn as much.
    #[schemars(range(min = 0))]
    pub negatives: i64,
}

impl Default for Gru4RecParameters {
    fn default() -> Self {
        Self { embedding: 64, hidden: 128, layers: 1, dropout: 0.3, negatives: 0 }
    }
}

impl Parameters for Gru4RecParameters {
    fn validate(&self) -> Result<()> {
        in_range("embedding", self.embedding, 1..)?;
        in_range("hidden", self.hidden, 1..)?;
        in_range("layers", self.layers, 1..)?;
        in_range("dropout", self.dropout, 0.0..1.0)?;
        in_range("negatives", self.negatives, 0..)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use prorl_sdk::parameters::parse;

    #[test]
    fn defaults_make_sense() {
        assert_eq!(parse::<Gru4RecParameters>("{}").unwrap(), Gru4RecParameters::default());
    }

    #[test]
    fn a_layer_is_needed() {
        let error = parse::<Gru4RecParameters>(r#"{"layers": 0}"#).unwrap_err();
        assert!(error.to_string().contains("layers"), "{error}");
    }
}
