//! Products in bf16 where they are asked for; all else stays float32.
//!
//! As under autocast: the factors of products with weights are rounded to bf16, and so are queries, keys and values; sums
//! are float32 inside the product. Norms, softmax, residuals, the output product, log-probabilities and the weights
//! themselves keep float32, and so do, on the processor, attention's own small products. So
//! what is sampled has the log-probability that is differentiated, but for the rounding of products of different shapes.

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

/// How factors are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    Float32,
    Bf16,
    /// With bf16's 8 bits, in float32.
    Rounded,
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

impl Factors {
    /// Kind of attention's own products.
    pub fn in_attention(self, device: Device) -> Kind {
        if self == Self::Bf16 && device != Device::Cpu { Kind::BFloat16 } else { Kind::Float }
    }

    /// `x` as a factor.
    pub fn of(self, x: &Tensor) -> Tensor {
        match self {
            Self::Float32 => x.shallow_clone(),
            Self::Bf16 => x.to_kind(Kind::BFloat16),
            Self::Rounded => x.to_kind(Kind::BFloat16).to_kind(Kind::Float),
        }
    }

    /// `x Wᵀ`; the weight is a factor already. // [N, out]
    pub fn product(self, x: &Tensor, weight: &Tensor) -> Tensor {
        self.of(x).linear(weight, None::<&Tensor>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_factors_are_those_of_bf16() {
        let x = Tensor::randn([40, 30], (Kind::Float, Device::Cpu));
        let (rounded, own) = (Factors::Rounded.of(&x), Factors::Bf16.of(&x));
        assert_eq!((rounded.kind(), own.kind()), (Kind::Float, Kind::BFloat16));
        assert_eq!(rounded, own.to_kind(Kind::Float));
        let weight = Factors::Rounded.of(&Tensor::randn([20, 30], (Kind::Float, Device::Cpu)));
        let exact = own.to_kind(Kind::Double).mm(&weight.to_kind(Kind::Double).tr());
        let off = (Factors::Rounded.product(&x, &weight).to_kind(Kind::Double) - exact).abs().max();
        assert!(off.double_value(&[]) < 1e-4, "sums are float32: {off:?}");
    }
}
