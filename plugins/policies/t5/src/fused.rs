//! Weights joined for fewer and larger products, made afresh in every call.
//!
//! The host changes weights in place, so nothing derived from them outlives a call. A layer norm's
//! weight is multiplied into the product that follows it, `W (w ⊙ x̂) = (W diag w) x̂`: a small matrix is
//! scaled instead of every state. Gradients reach the original weights through these joins.

use crate::weights::{Stack, Weights};
use prorl_kernels::factors::Factors;
use tch::Tensor;

/// One layer's products.
pub struct FusedBlock {
    pub qkv: Tensor, // [3 * heads * d_kv, D]
    pub o: Tensor,   // [heads * d_kv, D], transposed
    pub cross: Option<FusedCross>,
    pub wi: Tensor, // [d_ff, D]
    pub wo: Tensor, // [d_ff, D], transposed
}

/// The decoder's side of cross attention.
pub struct FusedCross {
    pub q: Tensor, // [heads * d_kv, D]
    pub o: Tensor, // [heads * d_kv, D], transposed
}

/// A stack's products.
pub struct FusedStack {
    pub blocks: Vec<FusedBlock>,
}

impl FusedStack {
    /// Joins a stack's weights, as factors.
    pub fn new(stack: &Stack, factors: Factors) -> Self {
        let blocks = stack.blocks.iter().map(|block| {
            let (own, inner) = (&block.attention, &block.feed_forward);
            FusedBlock {
                qkv: factors.of(&(Tensor::cat(&[&own.q, &own.k, &own.v], 0) * &own.norm)),
                o: factors.of(&own.o.tr()),
                cross: block
                    .cross
                    .as_ref()
                    .map(|cross| FusedCross { q: factors.of(&(&cross.q * &cross.norm)), o: factors.of(&cross.o.tr()) }),
                wi: factors.of(&(&inner.wi * &inner.norm)),
                wo: factors.of(&inner.wo.tr()),
            }
        });
        Self { blocks: blocks.collect() }
    }
}

/// Keys' and values' products of all cross attentions, after the encoder's last norm.
// [layers * 2 * heads * d_kv, D]
pub fn cross_keys_values(weights: &Weights, factors: Factors) -> Tensor {
    let cross = weights.decoder.blocks.iter().filter_map(|block| block.cross.as_ref());
    let parts: Vec<&Tensor> = cross.flat_map(|cross| [&cross.k, &cross.v]).collect();
    factors.of(&(Tensor::cat(&parts, 0) * &weights.encoder.final_norm))
}
