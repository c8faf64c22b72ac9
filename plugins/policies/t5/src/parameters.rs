//! What a user may set of the policy.

use crate::precision::Precision;
use prorl_sdk::prelude::*;

/// Sizes of the model (Raffel et al., 2020) and how it decodes; defaults are the paper's.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct T5Parameters {
    /// Layers of the encoder, and of the decoder.
    #[schemars(range(min = 1))]
    pub layers: i64,
    /// Width of states and embeddings.
    #[schemars(range(min = 1))]
    pub d_model: i64,
    /// Width of a head's queries, keys and values.
    #[schemars(range(min = 1))]
    pub d_kv: i64,
    /// Width of the feed-forward layers.
    #[schemars(range(min = 1))]
    pub d_ff: i64,
    /// Attention heads.
    #[schemars(range(min = 1))]
    pub heads: i64,
    /// Share of activations dropped while imitating.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Buckets of relative positions.
    #[schemars(range(min = 4))]
    pub buckets: i64,
    /// Distance from which all positions share a bucket.
    #[schemars(range(min = 4))]
    pub max_distance: i64,
    /// Added to the mean square in the layer norms.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub layer_norm_epsilon: f64,
    /// Factor on the standard deviations of initial weights.
    #[schemars(range(min = 0.0))]
    pub initializer_factor: f64,
    /// Standard deviation of initial relative position biases, before that factor. Hugging Face draws them with
    /// `d_model^-0.5` = 0.09 and leaves it to training to tell positions apart, which AdamW does slowly: copying the
    /// target takes some 400 steps with 2 and more than 900 with 0.09 (batch 32, learning rate 1e-3).
    #[schemars(range(min = 0.0))]
    pub relative_bias_deviation: f64,
    /// Whether the tokens of the target carry a learned vector that tells them from the history's. Without it, as published,
    /// only their distance to the end does, which takes far more data to learn.
    pub target_embedding: bool,
    /// Kind of the factors of products with weights, and of queries, keys and values, in rollouts and updates alike:
    /// `float32`, or `bf16`, which GPUs and processors with AMX or AVX512-BF16 are faster with. Norms, softmax,
    /// log-probabilities and weights stay float32, and so do attention's own products on a processor without AMX.
    pub precision: Precision,
    /// Allow only codes that lead to an item, and stopping only where an item would begin.
    pub constrained: bool,
}

impl Default for T5Parameters {
    fn default() -> Self {
        Self {
            layers: 3,
            d_model: 128,
            d_kv: 64,
            d_ff: 512,
            heads: 4,
            dropout: 0.1,
            buckets: 32,
            max_distance: 128,
            layer_norm_epsilon: 1e-6,
            initializer_factor: 1.0,
            relative_bias_deviation: 2.0,
            target_embedding: false,
            precision: Precision::Float32,
            constrained: true,
        }
    }
}

impl Parameters for T5Parameters {
    fn validate(&self) -> Result<()> {
        for (name, value) in [
            ("layers", self.layers),
            ("d_model", self.d_model),
            ("d_kv", self.d_kv),
            ("d_ff", self.d_ff),
            ("heads", self.heads),
        ] {
            in_range(name, value, 1..)?;
        }
        in_range("buckets", self.buckets, 4..)?;
        in_range("max_distance", self.max_distance, self.buckets / 2 + 1..)?;
        in_range("dropout", self.dropout, 0.0..1.0)?;
        in_range("layer_norm_epsilon", self.layer_norm_epsilon, 0.0..1.0)?;
        in_range("initializer_factor", self.initializer_factor, 0.0..)?;
        in_range("relative_bias_deviation", self.relative_bias_deviation, 0.0..)
    }
}
