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
    /// 0 at real positions, minus infinity at padding; absent where nothing is padded. // [B, 1, T]
    pub mask: Option<Tensor>,
}

/// Keys and values of the prompts for one decoder layer, one a head.
pub struct Memory {
    pub keys: Vec<Tensor>,   // [B, T, d_kv]
    pub values: Vec<Tensor>, // [B, T, d_kv]
}

/// Runs the encoder.
pub fn encode(call: &Call<'_>, prompts: &Prompts) -> Encoded {
    let Call { network, weights, vocabulary, .. } = call;
    let prompts = vocabulary.prompts(prompts);
    let layout = prompts.layout();
    let mask = prompts.padded().then(|| {
        let mask = Tensor::zeros([layout.rows, layout.time], (Kind::Float, weights.shared.device()));
        mask.masked_fill(&layout.real().logical_not(), f64::NEG_INFINITY).unsqueeze(1)
    });
    let stack = &weights.encoder;
    let bias = call.encoder_buckets.bias(&stack.relative_bias, 0, layout.time, layout.time).unsqueeze(1); // [heads, 1, T, T]
    let bias = mask.as_ref().map_or_else(|| bias.shallow_clone(), |mask| &bias + mask).unbind(0); // a head: [B or 1, T, T]
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

impl Memory {
    /// `B`.
    pub fn prompts(&self) -> i64 {
        self.keys.first().map_or(0, |keys| keys.size()[0])
    }
}

impl Encoded {
    /// Keys and values for every decoder layer, one product for all.
    pub fn memories(&self, network: &Network, weights: &Weights) -> Vec<Memory> {
        let factors = network.factors;
        let joined = factors.of(&factors.product(&self.states, &fused::cross_keys_values(weights, factors)));
        let layers = weights.decoder.blocks.len();
        let mut parts = network.by_head(&self.layout.spread(&joined), 2 * layers as i64).into_iter();
        let mut heads = || parts.by_ref().take(network.heads as usize).collect();
        (0..layers).map(|_| Memory { keys: heads(), values: heads() }).collect()
    }
}
