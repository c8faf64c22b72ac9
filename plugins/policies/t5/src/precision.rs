//! Products in bf16 where they are asked for; all else stays float32.
//!
//! As under autocast: the factors of products with weights are rounded to bf16, and so are queries, keys and values; sums
//! are float32 inside the product. Norms, softmax, residuals, the output product, log-probabilities and the weights
//! themselves keep float32, and so do, on a processor, attention's own small products, unless AMX makes them, which has
//! probabilities rounded, too; those with prompts' keys and values that weights are part of are large, and in bf16 like the
//! others. So what is sampled has the log-probability that is differentiated, but for the rounding of products of different
//! shapes.

use prorl_kernels::factors::Factors;
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
    /// How a device multiplies in this precision. On a processor without products of bf16, libtorch would make them number
    /// by number, twenty times slower than in float32; the same factors in float32 cost their rounding alone.
    pub fn factors(self, device: Device) -> Factors {
        match self {
            Self::Float32 => Factors::Float32,
            Self::Bf16 if device == Device::Cpu && !processor_multiplies_bf16() => Factors::Rounded,
            Self::Bf16 => Factors::Bf16,
        }
    }
}

/// Whether products read factors where they lie, whatever their strides. With AVX-512, libtorch may multiply by oneDNN,
/// which makes a copy of what is not contiguous, for every product anew.
pub fn products_read_strides(device: Device) -> bool {
    #[cfg(target_arch = "x86_64")]
    return device != Device::Cpu || !std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return device != Device::Cpu;
}

fn processor_multiplies_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Kind of the factors of attention's own products.
pub fn in_attention(factors: Factors, device: Device) -> Kind {
    if device == Device::Cpu { Kind::Float } else { factors.kind() }
}
