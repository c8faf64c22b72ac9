//! Float32 products on the processor: it lies here because this crate has the shim.
//!
//! libtorch multiplies by MKL, which leaves the 512-bit vectors of processors that are not Intel's unused: half of what
//! a Zen 4 or Zen 5 can do. oneDNN, the other library within libtorch, uses them.

use crate::Result;
use crate::calls;
use crate::error::DistributedError;
use tch::{Device, Kind, Tensor};

/// Mean error of a product relative to its mean value: float32 stays below, factors rounded to bf16 are a hundred times
/// above.
const FLOAT32: f64 = 1e-5;

/// Lets oneDNN multiply float32 matrices where it has wider vectors for it than MKL and keeps all 24 bits, and says
/// whether it does from here on. A bf16 unit (AMX) would be used by oneDNN at the cost of bits, so a small product is
/// compared with float64 first. GPUs are not concerned.
///
/// # Errors
/// libtorch refuses; the program works all the same, only slower.
pub fn widen_float32_products() -> Result<bool> {
    if !calls::products_can_be_wider() {
        return Ok(false);
    }
    calls::products_by_onednn(true).map_err(DistributedError::Products)?;
    let exact = error_of_a_product() < FLOAT32;
    if !exact {
        calls::products_by_onednn(false).map_err(DistributedError::Products)?;
    }
    Ok(exact)
}

/// Mean error of a float32 product of factors that bf16 does not hold, relative to its mean size.
fn error_of_a_product() -> f64 {
    const SIDE: i64 = 96; // libtorch keeps the smallest products for itself
    let ramp = Tensor::arange(SIDE * SIDE, (Kind::Double, Device::Cpu));
    let left = (&ramp * 0.618_034).frac().view([SIDE, SIDE]).to_kind(Kind::Float);
    let right = (&ramp * 0.754_878).frac().view([SIDE, SIDE]).to_kind(Kind::Float);
    let exact = left.to_kind(Kind::Double).mm(&right.to_kind(Kind::Double));
    let error = (left.mm(&right).to_kind(Kind::Double) - &exact).abs().mean(Kind::Double);
    error.double_value(&[]) / exact.abs().mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn float32_products_keep_their_bits() {
        assert!(error_of_a_product() < FLOAT32);
        widen_float32_products().unwrap();
        assert!(error_of_a_product() < FLOAT32);
    }

    #[test]
    fn the_measure_sees_factors_that_were_rounded() {
        let factor = Tensor::arange(96 * 96, (Kind::Float, Device::Cpu)) * 0.618_034;
        let factor = factor.frac().view([96, 96]);
        let rounded = factor.to_kind(Kind::BFloat16).to_kind(Kind::Float);
        let error = (factor.mm(&factor) - rounded.mm(&rounded)).abs().mean(Kind::Double).double_value(&[]);
        assert!(error / factor.mm(&factor).mean(Kind::Double).double_value(&[]) > 10.0 * FLOAT32);
    }
}
