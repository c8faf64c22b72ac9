//! How one score of every row stands among all of them, in one pass over the row.
//!
//! libtorch writes a softmax of all scores for the one that is asked for, then a comparison of all, then reads that.

#[cfg(target_arch = "x86_64")]
mod passes;

use tch::{Device, Kind, Tensor};

/// Whether such scores are served: float32 without gaps on a processor with AVX2 and FMA, of which no gradient is wanted.
pub fn serves(scores: &Tensor) -> bool {
    let reads = scores.device() == Device::Cpu && scores.kind() == Kind::Float && scores.is_contiguous();
    reads && scores.size().len() == 2 && !scores.requires_grad() && crate::processor_serves()
}

/// `ln Σ_v exp(score_v)` of every row, and how many of its scores are greater than `own`, one number a row. Both are
/// float32, which counts exactly up to 2^24; the logarithm is no number where a score is none, or infinite. // [R, V], [R, 1] to [R, 1], [R, 1]
///
/// # Panics
/// [`serves`] says no, or the shapes differ.
pub fn total_and_greater(scores: &Tensor, own: &Tensor) -> (Tensor, Tensor) {
    assert!(serves(scores), "`serves` says no to {scores:?}");
    assert_eq!((own.size(), own.kind()), (vec![scores.size()[0], 1], Kind::Float), "own scores");
    served(scores, own)
}

#[cfg(target_arch = "x86_64")]
fn served(scores: &Tensor, own: &Tensor) -> (Tensor, Tensor) {
    passes::total_and_greater(scores, &own.contiguous())
}

#[cfg(not(target_arch = "x86_64"))]
fn served(_: &Tensor, _: &Tensor) -> (Tensor, Tensor) {
    unreachable!("`serves` says no on this processor")
}
