//! Layers that SASRec is made of, with RecBole's initialisation.

use crate::initial;
use tch::{Device, Tensor};

/// RecBole's `layer_norm_eps`.
const EPSILON: f64 = 1e-12;

/// How fresh weights are made.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// Standard deviation of matrices.
    pub deviation: f64,
    /// Where they live.
    pub device: Device,
}

/// `x W^T + b`.
pub struct Linear {
    /// `W`. // [out, in]
    pub weight: Tensor,
    /// `b`. // [out]
    pub bias: Tensor,
}

impl Linear {
    /// Fresh weights.
    pub fn new(r#in: i64, out: i64, fresh: Fresh) -> Self {
        Self {
            weight: initial::normal(&[out, r#in], fresh.deviation, fresh.device),
            bias: initial::constant(&[out], 0.0, fresh.device),
        }
    }

    /// `input` is `[.., in]`. // [.., out]
    pub fn forward(&self, input: &Tensor) -> Tensor {
        input.linear(&self.weight, Some(&self.bias))
    }

    /// Weights by name, below `name`.
    pub fn named(&self, name: &str) -> [(String, Tensor); 2] {
        named(name, &self.weight, &self.bias)
    }
}

/// Layer normalisation over the last dimension.
pub struct LayerNorm {
    weight: Tensor, // [D]
    bias: Tensor,   // [D]
}

impl LayerNorm {
    /// Fresh weights.
    pub fn new(width: i64, fresh: Fresh) -> Self {
        Self {
            weight: initial::constant(&[width], 1.0, fresh.device),
            bias: initial::constant(&[width], 0.0, fresh.device),
        }
    }

    /// `input` is `[.., D]`. // [.., D]
    pub fn forward(&self, input: &Tensor) -> Tensor {
        let width = self.weight.size();
        input.layer_norm(width, Some(&self.weight), Some(&self.bias), EPSILON, true)
    }

    /// Weights by name, below `name`.
    pub fn named(&self, name: &str) -> [(String, Tensor); 2] {
        named(name, &self.weight, &self.bias)
    }
}

fn named(name: &str, weight: &Tensor, bias: &Tensor) -> [(String, Tensor); 2] {
    [(format!("{name}.weight"), weight.shallow_clone()), (format!("{name}.bias"), bias.shallow_clone())]
}
