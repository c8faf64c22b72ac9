//! The position-wise network, post-norm: `LN(x + Dropout(W_2 · GELU(W_1 x)))` with the exact (erf) GELU.

use super::layers::{Fresh, LayerNorm, Linear};
use super::parameters::SasRecParameters;
use prorl_sdk::dropout::dropout;
use tch::Tensor;

/// RecBole's `FeedForward`.
pub struct FeedForward {
    dense_1: Linear,
    dense_2: Linear,
    norm: LayerNorm,
    dropout: f64,
}

impl FeedForward {
    /// Fresh weights.
    pub fn new(parameters: &SasRecParameters, fresh: Fresh) -> Self {
        let (hidden, inner) = (parameters.hidden, parameters.inner);
        Self {
            dense_1: Linear::new(hidden, inner, fresh),
            dense_2: Linear::new(inner, hidden, fresh),
            norm: LayerNorm::new(hidden, fresh),
            dropout: parameters.hidden_dropout,
        }
    }

    /// `input` is `[N, T, D]`. // [N, T, D]
    pub fn forward(&self, input: &Tensor, training: bool) -> Tensor {
        let inner = self.dense_1.forward(input).gelu("none"); // [N, T, inner]
        let change = dropout(&self.dense_2.forward(&inner), self.dropout, training); // [N, T, D]
        self.norm.forward(&(change + input))
    }

    /// Weights by RecBole's names, below `name`.
    pub fn named(&self, name: &str) -> Vec<(String, Tensor)> {
        let parts = [
            self.dense_1.named(&format!("{name}.dense_1")),
            self.dense_2.named(&format!("{name}.dense_2")),
            self.norm.named(&format!("{name}.LayerNorm")),
        ];
        parts.into_iter().flatten().collect()
    }
}
