//! The decoder a few tokens at a time, with what was computed for earlier tokens kept.

use crate::attention::Network;
use crate::encoder::{self, Encoded};
use crate::fused::{FusedCross, FusedStack};
use crate::layout::Layout;
use crate::memories::Absorbed;
use crate::weights::Weights;
use tch::Tensor;

/// Earlier tokens' keys and values, as one way of decoding keeps them.
pub trait Past {
    /// Adds the newest tokens' keys and values and attends to all so far; `qkv` is `[rows, n, 3 * heads * d_kv]`. Of each
    /// row's tokens all ask, or the last one alone; what is found is a factor. // [rows * n or rows, heads * d_kv]
    fn attend(&mut self, network: &Network, layer: usize, qkv: &Tensor, last_alone: bool) -> Tensor;
}

/// The network prepared for stepping.
pub struct Stepper<'a> {
    network: Network,
    weights: &'a Weights,
    fused: FusedStack,
    memories: Vec<Memory>,
    mask: Option<Tensor>, // [B, 1, 1, T]
    /// Queries, keys and values of the first layer for the whole vocabulary, where there are more tokens than that.
    first: Option<Tensor>, // [V, 3 * heads * d_kv]
}

/// A layer's keys and values of the prompts, all heads in one piece: step after step reads them.
enum Memory {
    Plain { keys: Tensor, values: Tensor }, // [B, heads, T, d_kv]
    Absorbed(Absorbed),
}

impl<'a> Stepper<'a> {
    /// A stepper over encoded prompts, for about `tokens` of every prompt's paths.
    pub fn new(network: Network, weights: &'a Weights, encoded: &Encoded, tokens: i64) -> Self {
        let fused = FusedStack::new(&weights.decoder, network.factors);
        let memories = if network.absorbs(encoded.layout.time, tokens) {
            Absorbed::layers(&network, weights, encoded, &fused).into_iter().map(Memory::Absorbed).collect()
        } else {
            let plain = |memory: encoder::Memory| Memory::Plain {
                keys: Tensor::stack(&memory.keys, 1),
                values: Tensor::stack(&memory.values, 1),
            };
            encoded.memories(&network, weights).into_iter().map(plain).collect()
        };
        let mask = encoded.mask.as_ref().map(|mask| mask.unsqueeze(1));
        let looks_up = network.looks_up(&weights.shared, encoded.layout.rows * tokens);
        let first = fused.blocks.first().filter(|_| looks_up);
        let first = first.map(|block| network.factors_of_attention(&weights.shared, &block.qkv));
        Self { network, weights, fused, memories, mask, first }
    }

    /// Reads `n` tokens a row, `[rows, n]`; `of_prompts` says which rows are whose. Normalised states of each row's last
    /// token, without the last norm's weight. // [rows, D]
    pub fn step(&self, tokens: &Tensor, past: &mut dyn Past, of_prompts: &Layout) -> Tensor {
        let network = &self.network;
        let (rows, new) = (tokens.size()[0], tokens.size()[1]);
        let tokens = tokens.flatten(0, 1); // [rows * n]
        let mut states = self.weights.shared.index_select(0, &tokens); // [rows * n, D]
        let layers = self.fused.blocks.len();
        for (layer, (block, memory)) in self.fused.blocks.iter().zip(&self.memories).enumerate() {
            let last = layer + 1 == layers;
            let qkv = match &self.first {
                Some(first) if layer == 0 => first.index_select(0, &tokens),
                _ => network.factors_of_attention(&states, &block.qkv),
            };
            let own = past.attend(network, layer, &qkv.view([rows, new, -1]), last);
            if last {
                // Nothing but its keys and values is needed of a token that others follow.
                states = states.view([rows, new, -1]).select(1, new - 1); // [rows, D]
            }
            states = network.residual(&states, &own, &block.o);
            if let Some(cross) = &block.cross {
                states = self.attend(&states, rows, memory, cross, of_prompts);
            }
            states = network.feed_forward(&states, block);
        }
        network.normalise(&states)
    }

    /// What the tokens of `rows` rows find in the prompts, with the residual. // as `states`
    fn attend(&self, states: &Tensor, rows: i64, memory: &Memory, cross: &FusedCross, of_prompts: &Layout) -> Tensor {
        let network = &self.network;
        match memory {
            Memory::Absorbed(absorbed) => absorbed.attend(network, states, of_prompts),
            Memory::Plain { keys, values } => {
                let queries = network.for_products(&network.factors_of_attention(states, &cross.q));
                let found = network.factors.of(&self.look_up(&queries, rows, [keys, values], of_prompts));
                network.residual(states, &found, &cross.o)
            }
        }
    }

    /// What the queries of `rows` rows find in the prompts. // as `queries`
    fn look_up(&self, queries: &Tensor, rows: i64, [keys, values]: [&Tensor; 2], of_prompts: &Layout) -> Tensor {
        let Network { heads, d_kv, .. } = self.network;
        let prompts = of_prompts.rows;
        let spread = of_prompts.spread(&queries.view([rows, -1])); // [B, rows of any prompt, n * heads * d_kv]
        let by_head = spread.view([prompts, -1, heads, d_kv]).transpose(1, 2); // [B, heads, queries, d_kv]
        let queries = by_head.reshape([prompts * heads, -1, d_kv]);
        let scores = queries.bmm(&keys.flatten(0, 1).transpose(1, 2));
        let scores = scores.view([prompts, heads, queries.size()[1], -1]); // [B, heads, queries, T]
        let found = self.network.mix(scores, self.mask.as_ref(), &values.flatten(0, 1));
        let found = self.network.merge(&found, prompts); // [B, queries, heads * d_kv]
        of_prompts.pack(&found.view([prompts, of_prompts.time, -1])).view([-1, heads * d_kv])
    }

    /// Goes on with some prompts only, by their current places.
    pub fn keep_prompts(&mut self, places: &Tensor) {
        for memory in &mut self.memories {
            match memory {
                Memory::Absorbed(absorbed) => *absorbed = absorbed.some(places),
                Memory::Plain { keys, values } => {
                    (*keys, *values) = (keys.index_select(0, places), values.index_select(0, places));
                }
            }
        }
        self.mask = self.mask.as_ref().map(|mask| mask.index_select(0, places));
    }
}
