//! How the factors of large products are kept.

use tch::{Kind, Tensor};

/// How factors are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Factors {
    /// In float32.
    #[default]
    Float32,
    /// In bf16.
    Bf16,
    /// With bf16's 8 bits, in float32: for processors without products of bf16.
    Rounded,
}

impl Factors {
    /// The kind that they are kept in.
    pub fn kind(self) -> Kind {
        if self == Self::Bf16 { Kind::BFloat16 } else { Kind::Float }
    }

    /// `x`, float32 or of this kind, as a factor; its gradient is rounded likewise. // as `x`
    pub fn of(self, x: &Tensor) -> Tensor {
        match self {
            Self::Float32 => x.shallow_clone(),
            Self::Bf16 => x.to_kind(Kind::BFloat16),
            Self::Rounded => rounded(x),
        }
    }
}

/// The nearest numbers of bf16, in float32.
fn rounded(x: &Tensor) -> Tensor {
    if x.kind() == Kind::Float && crate::dropout::serves(x) {
        return at_once(x);
    }
    x.to_kind(Kind::BFloat16).to_kind(Kind::Float)
}

#[cfg(target_arch = "x86_64")]
fn at_once(x: &Tensor) -> Tensor {
    use crate::dropout::passes::rounded;
    let result = rounded(&x.detach().contiguous());
    crate::node::attach(&result, &[x], |of_result| vec![Some(rounded(&of_result.contiguous()))]);
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn at_once(_: &Tensor) -> Tensor {
    unreachable!("`serves` says no on this processor")
}
