//! Products in bf16 where they are asked for; all else stays float32.
//!
//! As under autocast: the factors of products, attention's among them, are rounded to bf16, their sums are float32 inside
//! the product. Norms, softmax, residuals, the output product, log-probabilities and the weights themselves keep float32,
//! so that what is sampled has the log-probability that is differentiated, but for the rounding of products of different
//! shapes.

use prorl_sdk::prelude::*;
use tch::Kind;

/// Kind of the factors of products with weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of significand.
    #[default]
    Float32,
    /// 8 bits of significand.
    Bf16,
}

impl Precision {
    /// As a kind of tensors.
    pub fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }
}

/// `x Wᵀ` in the weight's kind. // [N, out]
pub fn rounded_product(x: &Tensor, weight: &Tensor) -> Tensor {
    match weight.kind() {
        Kind::Float => x.linear(weight, None::<&Tensor>),
        kind => x.to_kind(kind).linear(weight, None::<&Tensor>),
    }
}

/// `states + x W` with factors of the weight's kind, in float32. // [N, out]
pub fn add_product(states: &Tensor, x: &Tensor, weight: &Tensor) -> Tensor {
    match weight.kind() {
        Kind::Float => states.addmm(x, weight),
        kind => states + x.to_kind(kind).mm(weight),
    }
}
