//! Weights joined for fewer and larger products, made afresh in every call.
//!
//! The host changes weights in place, so nothing derived from them outlives a call. A layer norm's
//! weight is multiplied into the product that follows it, `W (w ⊙ x̂) = (W diag w) x̂`: a small matrix is
//! scaled instead of every state. Gradients reach the original weights through these joins.

use crate::weights;
use prorl_kernels::factors::Factors;
use prorl_kernels::layers::Weights;
use tch::Tensor;

/// One layer's products.
pub struct FusedBlock {
    pub qkv: Weights, // [D, 3 * heads * d_kv]
    pub o: Weights,   // [heads * d_kv, D]
    pub cross: Option<FusedCross>,
    pub wi: Weights, // [D, d_ff]
    pub wo: Weights, // [d_ff, D]
}

/// The decoder's side of cross attention.
pub struct FusedCross {
    pub q: Weights, // [D, heads * d_kv]
    pub o: Weights, // [heads * d_kv, D]
}

/// A stack's products.
pub struct FusedStack {
    pub blocks: Vec<FusedBlock>,
}

impl FusedStack {
    /// Joins a stack's weights, as factors.
    pub fn new(stack: &weights::Stack, factors: Factors) -> Self {
        // As the parameters lie, [out, in], rounded if need be.
        let factor = |w: &Tensor| Weights::of(factors.of(w).tr());
        let blocks = stack.blocks.iter().map(|block| {
            let (own, inner) = (&block.attention, &block.feed_forward);
            FusedBlock {
                qkv: factor(&(Tensor::cat(&[&own.q, &own.k, &own.v], 0) * &own.norm)),
                o: factor(&own.o),
                cross: block
                    .cross
                    .as_ref()
                    .map(|cross| FusedCross { q: factor(&(&cross.q * &cross.norm)), o: factor(&cross.o) }),
                wi: factor(&(&inner.wi * &inner.norm)),
                wo: factor(&inner.wo),
            }
        });
        Self { blocks: blocks.collect() }
    }
}

/// Keys' and values' products of all cross attentions, after the encoder's last norm.
// [layers * 2 * heads * d_kv, D]
pub fn cross_keys_values(weights: &weights::Weights, factors: Factors) -> Tensor {
    let cross = weights.decoder.blocks.iter().filter_map(|block| block.cross.as_ref());
    let parts: Vec<&Tensor> = cross.flat_map(|cross| [&cross.k, &cross.v]).collect();
    factors.of(&(Tensor::cat(&parts, 0) * &weights.encoder.final_norm))
}
