//! The decoder over whole paths: every position at once, for losses and log-probabilities.

use crate::attention::{Network, Source};
use crate::encoder::Encoded;
use crate::fused::FusedStack;
use crate::layout::Layout;
use crate::memories::Memories;
use crate::relative::Buckets;
use crate::sight::Sight;
use crate::weights::Weights;
use tch::Tensor;

/// The positions that something is read from; the others are needed for what later ones find in them, and so not beyond
/// the keys and values of the last layer.
pub struct Wanted {
    /// Among the kept positions, ascending. // [M]
    pub places: Tensor,
    /// Whose row each is in, ascending. // [M]
    pub rows: Tensor,
    /// Where in its row each is. // [M]
    pub times: Tensor,
    /// The wanted positions of each prompt.
    pub of_prompts: Layout,
}

impl Wanted {
    /// The wanted ones of `[N, ..]`. // [M, ..]
    pub fn of(&self, kept: &Tensor) -> Tensor {
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
    let stack = &weights.decoder;
    let fused = FusedStack::new(stack, network.factors);
    let by_prompt = layout.by_prompt(encoded.layout.rows);
    let memories = Memories::of(encoded, network, weights, &fused, by_prompt.time);
    let bias = buckets.bias(&stack.relative_bias, 0, layout.time, layout.time); // [heads, T, T]
    let sight = Sight::back(network, bias, layout);
    let (embedding, tokens) = (&weights.shared, layout.pack(inputs)); // [V, D], [N]
    let mut states = network.dropped(Tensor::embedding(embedding, &tokens, -1, false, false)); // [N, D]
    let looks_up = network.looks_up(embedding, layout.len());
    for (layer, block) in fused.blocks.iter().enumerate() {
        let wanted = wanted.filter(|_| layer + 1 == fused.blocks.len());
        let source = match layer {
            0 if looks_up => Source::Tokens { embedding, tokens: &tokens },
            _ => Source::States(&states),
        };
        let own = sight.look(network, &source, block, layout, wanted);
        let mut of_prompts = &by_prompt;
        if let Some(wanted) = wanted {
            (states, of_prompts) = (wanted.of(&states), &wanted.of_prompts);
        }
        states = network.residual(&states, &own, &block.o);
        if let Some(cross) = &block.cross {
            states = memories.attend(network, layer, &states, cross, of_prompts);
        }
        states = network.feed_forward(&states, block);
    }
    network.dropped(network.normalise(&states))
}
