//! The decoder over whole paths: every position at once, for losses and log-probabilities.

use crate::attention::Network;
use crate::encoder::{Encoded, Memory};
use crate::fused::{FusedCross, FusedStack};
use crate::layout::Layout;
use crate::relative::{Buckets, causal_mask};
use crate::weights::Weights;
use tch::Tensor;

/// The positions that something is read from; the others are needed for what later ones find in them, and so not beyond
/// the keys and values of the last layer.
pub struct Wanted {
    /// Among the kept positions, ascending. // [M]
    pub places: Tensor,
    /// The wanted positions of each prompt.
    pub of_prompts: Layout,
}

impl Wanted {
    /// The wanted rows of `[N, ..]`. // [M, ..]
    fn rows(&self, kept: &Tensor) -> Tensor {
        // An embedding is a gather of rows whose gradient is summed in parallel.
        Tensor::embedding(kept, &self.places, -1, false, false)
    }
}

/// Runs the decoder over `inputs` `[B * G, T]`; the paths of a prompt share its keys and values.
///
/// Normalised states without the last norm's weight, of what is wanted or else of all. // [M or N, D]
pub fn decode(
    network: &Network,
    weights: &Weights,
    buckets: Buckets,
    encoded: &Encoded,
    inputs: &Tensor,
    layout: &Layout,
    wanted: Option<&Wanted>,
) -> Tensor {
    let memories = encoded.memories(network, weights);
    let stack = &weights.decoder;
    let mask = causal_mask(layout.time, inputs.device());
    let bias = (buckets.bias(&stack.relative_bias, 0, layout.time, layout.time) + mask).unsqueeze(1).unbind(0); // a head: [1, T, T]
    let embedded = Tensor::embedding(&weights.shared, &layout.pack(inputs), -1, false, false);
    let mut states = network.dropped(embedded); // [N, D]
    let blocks = FusedStack::new(stack, network.factors).blocks;
    for (layer, (block, memory)) in blocks.iter().zip(&memories).enumerate() {
        let mut own = network.attended(&states, block, &bias, layout);
        let mut of_prompts = layout;
        if let Some(wanted) = wanted.filter(|_| layer + 1 == blocks.len()) {
            (states, own, of_prompts) = (wanted.rows(&states), wanted.rows(&own), &wanted.of_prompts);
        }
        states = network.residual(&states, &own, &block.o);
        if let Some(cross) = &block.cross {
            states = attend(network, &states, cross, memory, encoded.mask.as_ref(), of_prompts);
        }
        states = network.feed_forward(&states, block);
    }
    network.dropped(network.normalise(&states))
}

/// Cross attention with its residual: a prompt's whole group is one block of queries.
fn attend(
    network: &Network,
    states: &Tensor,
    cross: &FusedCross,
    memory: &Memory,
    mask: Option<&Tensor>,
    layout: &Layout,
) -> Tensor {
    let queries = layout.spread(&network.factors_of_attention(states, &cross.q));
    let queries = queries.view([memory.prompts(), -1, network.inner()]); // [B, G * T, heads * d_kv]
    let mixed = look_up(network, &queries, memory, mask); // [B, G * T, heads * d_kv]
    let mixed = layout.pack(&mixed.view([layout.rows, layout.time, network.inner()]));
    network.residual(states, &mixed, &cross.o)
}

/// What `queries` `[B, queries, heads * d_kv]` find in a memory. // as `queries`
fn look_up(network: &Network, queries: &Tensor, memory: &Memory, mask: Option<&Tensor>) -> Tensor {
    network.look_up(&network.by_head(queries, 1), &memory.keys, &memory.values, mask.map_or(&[], std::slice::from_ref))
}
