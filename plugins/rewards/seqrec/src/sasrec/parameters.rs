//! What a user may set of SASRec.

use prorl_sdk::error::{Error, Result};
use prorl_sdk::parameters::{Parameters, in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of SASRec; defaults are RecBole's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SasRecParameters {
    /// Width of item embeddings and states, at least 1 and a multiple of `heads`.
    #[schemars(range(min = 1))]
    pub hidden: i64,
    /// Width within the feed-forward layers, at least 1.
    #[schemars(range(min = 1))]
    pub inner: i64,
    /// Transformer layers, at least 1.
    #[schemars(range(min = 1))]
    pub layers: i64,
    /// Attention heads, at least 1.
    #[schemars(range(min = 1))]
    pub heads: i64,
    /// Dropout after embeddings, attention and feed-forward, in [0, 1).
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub hidden_dropout: f64,
    /// Dropout of attention weights, in [0, 1).
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub attention_dropout: f64,
    /// Most items it reads; of a longer sequence, the last ones. At least 1.
    #[schemars(range(min = 1))]
    pub max_length: i64,
    /// Standard deviation of fresh weights, at least 0.
    #[schemars(range(min = 0.0))]
    pub initial_deviation: f64,
    /// Items that a training step compares with: so many drawn anew for every step, the same for all its positions; 0: all
    /// items, as RecBole. With hundreds of thousands of items, a few thousand cost a hundredth and learn as much.
    #[schemars(range(min = 0))]
    pub negatives: i64,
}

impl Default for SasRecParameters {
    fn default() -> Self {
        Self {
            hidden: 64,
            inner: 256,
            layers: 2,
            heads: 2,
            hidden_dropout: 0.5,
            attention_dropout: 0.5,
            max_length: 50,
            initial_deviation: 0.02,
            negatives: 0,
        }
    }
}

impl Parameters for SasRecParameters {
    fn validate(&self) -> Result<()> {
        in_range("hidden", self.hidden, 1..)?;
        in_range("inner", self.inner, 1..)?;
        in_range("layers", self.layers, 1..)?;
        in_range("heads", self.heads, 1..)?;
        in_range("hidden_dropout", self.hidden_dropout, 0.0..1.0)?;
        in_range("attention_dropout", self.attention_dropout, 0.0..1.0)?;
        in_range("max_length", self.max_length, 1..)?;
        in_range("initial_deviation", self.initial_deviation, 0.0..)?;
        in_range("negatives", self.negatives, 0..)?;
        if self.hidden % self.heads != 0 {
            return Err(Error::Parameters(format!(
                "`hidden` is {}, but should be a multiple of `heads` ({})",
                self.hidden, self.heads
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use prorl_sdk::parameters::parse;

    #[test]
    fn defaults_make_sense() {
        assert_eq!(parse::<SasRecParameters>("{}").unwrap(), SasRecParameters::default());
    }

    #[test]
    fn heads_divide_hidden() {
        let error = parse::<SasRecParameters>(r#"{"hidden": 64, "heads": 3}"#).unwrap_err();
        assert!(error.to_string().contains("multiple of `heads`"), "{error}");
    }

    #[test]
    fn dropout_is_a_probability() {
        let error = parse::<SasRecParameters>(r#"{"hidden_dropout": 1.0}"#).unwrap_err();
        assert!(error.to_string().contains("hidden_dropout"), "{error}");
    }
}
