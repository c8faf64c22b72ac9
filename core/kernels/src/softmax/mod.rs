//! Softmax of scores with a mask, in one pass each way, whether they are float32 or bf16.
//!
//! libtorch's way with bf16 is five: to float32, the mask, the softmax, back to bf16, and as many backwards.

#[cfg(target_arch = "x86_64")]
pub(crate) mod passes;

use tch::{Device, Kind, Tensor};

/// Whether such scores are served: float32 or bf16 on a processor with AVX2 and FMA.
pub fn serves(scores: &Tensor) -> bool {
    let reads = scores.device() == Device::Cpu && matches!(scores.kind(), Kind::Float | Kind::BFloat16);
    reads && scores.size().len() > 1 && crate::processor_serves()
}

/// `softmax(scores + mask)` over the last dimension, computed in float32 and written in the scores' kind; all rows of a
/// batch's element share a row of the mask, which is float32 and minus infinity where nothing is. Differentiable in the
/// scores. // [B, .., T], [B, T] to [B, .., T]
///
/// # Panics
/// [`serves`] says no, or the mask has another shape.
pub fn masked(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    assert!(serves(scores), "`serves` says no to {scores:?}");
    let size = scores.size();
    let shape = vec![size[0], size[size.len() - 1]];
    assert!(mask.is_none_or(|mask| mask.size() == shape && mask.kind() == Kind::Float), "{mask:?} for {scores:?}");
    served(scores, mask)
}

#[cfg(target_arch = "x86_64")]
fn served(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let mask = mask.map(|mask| mask.detach().contiguous());
    let result = passes::forward(&scores.detach().contiguous(), mask.as_ref());
    let kept = result.detach();
    crate::node::attach(&result, &[scores], move |of_result| {
        vec![Some(passes::backward(&kept, &of_result.contiguous()))]
    });
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn served(_: &Tensor, _: Option<&Tensor>) -> Tensor {
    unreachable!("`serves` says no on this processor")
}
