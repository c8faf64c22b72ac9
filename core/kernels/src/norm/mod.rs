//! Rows over their root mean square, in one pass each way.
//!
//! libtorch's way with single functions, square, mean, root and product, writes each to memory, and six more backwards.

#[cfg(target_arch = "x86_64")]
pub(crate) mod passes;

use crate::factors::Factors;
use tch::{Device, Kind, Tensor};

/// Whether such rows are served: float32 on a processor with AVX2 and FMA, of a multiple of 8 numbers.
pub fn serves(device: Device, kind: Kind, width: i64) -> bool {
    device == Device::Cpu && kind == Kind::Float && width > 0 && width % 8 == 0 && crate::processor_serves()
}

/// `x / sqrt(mean(x²) + epsilon)` of every row (Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv
/// 1910.07467, equation 4, without gain), differentiable, as factors of a product. // [N, D] to [N, D]
///
/// # Panics
/// The shape is another, or [`serves`] says no.
pub fn root_mean_square(x: &Tensor, epsilon: f64, factors: Factors) -> Tensor {
    let size = x.size();
    assert!(size.len() == 2 && serves(x.device(), x.kind(), size[1]), "`serves` says no to {x:?}");
    over_root_mean_square(x, epsilon, factors)
}

#[cfg(target_arch = "x86_64")]
fn over_root_mean_square(x: &Tensor, epsilon: f64, factors: Factors) -> Tensor {
    let (normal, scales) = passes::forward(&x.detach().contiguous(), epsilon as f32, factors);
    let kept = normal.detach();
    crate::node::attach(&normal, &[x], move |of_normal| {
        vec![Some(passes::backward(&kept, &scales, &of_normal.contiguous(), factors))]
    });
    normal
}

#[cfg(not(target_arch = "x86_64"))]
fn over_root_mean_square(_: &Tensor, _: f64, _: Factors) -> Tensor {
    unreachable!("`serves` says no on this processor")
}
