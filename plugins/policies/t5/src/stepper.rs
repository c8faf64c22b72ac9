//! The decoder one token at a time, with what was computed for earlier tokens kept.

use crate::attention::Network;
use crate::decoder::look_up;
use crate::encoder::{Encoded, Memory};
use crate::fused::FusedStack;
use crate::precision::{add_product, rounded_product};
use crate::weights::Weights;
use tch::{Kind, Tensor};

/// Earlier tokens' keys and values, as one way of decoding keeps them.
pub trait Past {
    /// Adds the newest tokens' keys and values and attends to all so far; `qkv` is
    /// `[rows, 3, heads, d_kv]`. // [rows, heads * d_kv]
    fn attend(&mut self, network: &Network, layer: usize, qkv: &Tensor) -> Tensor;
}

/// The network prepared for stepping.
pub struct Stepper<'a> {
    network: Network,
    weights: &'a Weights,
    fused: FusedStack,
    memories: Vec<Memory>,
    mask: Option<Tensor>, // [B, 1, 1, T]
    /// Where the rows' queries are in the rectangle of prompts times group, where some are missing.
    slots: Option<(Tensor, i64)>, // [rows]
}

impl<'a> Stepper<'a> {
    /// A stepper over encoded prompts.
    pub fn new(network: Network, weights: &'a Weights, encoded: &Encoded) -> Self {
        Self {
            network,
            weights,
            fused: FusedStack::new(&weights.decoder, network.kind),
            memories: encoded.memories(&network, weights),
            mask: encoded.mask.as_ref().map(Tensor::shallow_clone),
            slots: None,
        }
    }

    /// Reads one token a row, `[rows]`; rows are prompt after prompt, as many for each unless
    /// `keep_rows` said otherwise. Normalised states without the last norm's weight. // [rows, D]
    pub fn step(&self, tokens: &Tensor, past: &mut dyn Past) -> Tensor {
        let network = &self.network;
        let rows = tokens.size()[0];
        let mut states = self.weights.shared.index_select(0, tokens); // [rows, D]
        for (layer, (block, memory)) in self.fused.blocks.iter().zip(&self.memories).enumerate() {
            let qkv = rounded_product(&network.normalise(&states), &block.qkv);
            let own = past.attend(network, layer, &qkv.view([rows, 3, network.heads, network.d_kv]));
            states = add_product(&states, &own, &block.o);
            if let Some(cross) = &block.cross {
                let queries = rounded_product(&network.normalise(&states), &cross.q);
                states = add_product(&states, &self.look_up(&queries, memory), &cross.o);
            }
            states = network.feed_forward(&states, block);
        }
        network.normalise(&states)
    }

    fn look_up(&self, queries: &Tensor, memory: &Memory) -> Tensor {
        let (network, inner) = (&self.network, self.network.inner());
        let prompts = memory.keys.size()[0] / network.heads;
        let Some((slots, group)) = &self.slots else {
            return look_up(network, &queries.view([prompts, -1, inner]), memory, self.mask.as_ref()).view([-1, inner]);
        };
        let spread = queries.new_zeros([prompts * group, inner], (queries.kind(), queries.device()));
        let spread = spread.index_copy(0, slots, queries).view([prompts, *group, inner]);
        let found = look_up(network, &spread, memory, self.mask.as_ref());
        found.view([-1, inner]).index_select(0, slots)
    }

    /// Goes on with some rows only: `prompts` `[rows]`, ascending, says whose they are.
    pub fn keep_rows(&mut self, prompts: &Tensor) {
        let count = self.memories.first().map_or(0, |memory| memory.keys.size()[0] / self.network.heads);
        let own = prompts.bincount(None::<&Tensor>, count); // [B]
        let before = own.cumsum(0, Kind::Int64) - &own;
        let rank = Tensor::arange(prompts.size()[0], (Kind::Int64, prompts.device())) - before.index_select(0, prompts);
        let group = own.max().int64_value(&[]);
        self.slots = Some((prompts * group + rank, group));
    }

    /// Goes on with some prompts only, by their current places.
    pub fn keep_prompts(&mut self, places: &Tensor) {
        let heads = self.network.heads;
        for memory in &mut self.memories {
            memory.keys = of_prompts(&memory.keys, heads, places);
            memory.values = of_prompts(&memory.values, heads, places);
        }
        self.mask = self.mask.as_ref().map(|mask| mask.index_select(0, places));
    }
}

/// Some prompts of `[B * heads, T, d_kv]`.
fn of_prompts(tensor: &Tensor, heads: i64, places: &Tensor) -> Tensor {
    let (time, width) = (tensor.size()[1], tensor.size()[2]);
    tensor.view([-1, heads, time, width]).index_select(0, places).view([-1, time, width])
}
