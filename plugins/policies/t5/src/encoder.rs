//! The encoder: prompts to the keys and values that every decoder layer looks at.

use crate::attention::Network;
use crate::fused::{self, FusedStack};
use crate::layout::Layout;
use crate::policy::Call;
use crate::weights::Weights;
use prorl_sdk::prompts::Prompts;
use tch::{Kind, Tensor};

/// Encoded prompts.
pub struct Encoded {
    /// Normalised, without the last norm's weight. // [N, D]
    pub states: Tensor,
    pub layout: Layout,
    /// 0 at real positions, minus infinity at padding; absent where nothing is padded. // [B, 1, 1, T]
    pub mask: Option<Tensor>,
}

/// Keys and values of the prompts for one decoder layer.
pub struct Memory {
    pub keys: Tensor,   // [B * heads, T, d_kv]
    pub values: Tensor, // [B * heads, T, d_kv]
}

/// Runs the encoder.
pub fn encode(call: &Call<'_>, prompts: &Prompts) -> Encoded {
    let Call { network, weights, vocabulary, .. } = call;
    let prompts = vocabulary.prompts(prompts);
    let layout = prompts.layout();
    let mask = prompts.padded().then(|| {
        let mask = Tensor::zeros([layout.rows, layout.time], (Kind::Float, weights.shared.device()));
        mask.masked_fill(&layout.real().logical_not(), f64::NEG_INFINITY).view([layout.rows, 1, 1, layout.time])
    });
    let stack = &weights.encoder;
    let bias = call.encoder_buckets.bias(&stack.relative_bias, 0, layout.time, layout.time).unsqueeze(0); // [1, heads, T, T]
    let bias = mask.as_ref().map_or_else(|| bias.shallow_clone(), |mask| &bias + mask);
    let tokens = layout.pack(&prompts.tokens); // [N]
    let mut states = Tensor::embedding(&weights.shared, &tokens, -1, false, false); // [N, D]
    if let Some(target) = &weights.target {
        states += layout.pack(&prompts.targets(vocabulary.digits)).unsqueeze(-1) * target;
    }
    let mut states = network.dropped(states);
    for block in &FusedStack::new(stack, network.factors).blocks {
        states = network.self_attention(&states, block, &bias, &layout);
        states = network.feed_forward(&states, block);
    }
    Encoded { states: network.dropped(network.normalise(&states)), layout, mask }
}

impl Encoded {
    /// Keys and values for every decoder layer, one product for all.
    pub fn memories(&self, network: &Network, weights: &Weights) -> Vec<Memory> {
        let factors = network.factors;
        let joined = factors.of(&factors.product(&self.states, &fused::cross_keys_values(weights, factors)));
        let layers = weights.decoder.blocks.len() as i64;
        let mut parts = network.by_head(&self.layout.spread(&joined), 2 * layers).into_iter();
        let mut memories = Vec::new();
        while let (Some(keys), Some(values)) = (parts.next(), parts.next()) {
            memories.push(Memory { keys, values });
        }
        memories
    }
}
