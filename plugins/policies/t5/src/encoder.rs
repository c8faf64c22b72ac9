//! The encoder: prompts to the keys and values that every decoder layer looks at.

use crate::attention::{Network, Source};
use crate::fused::{self, FusedStack};
use crate::layout::Layout;
use crate::policy::Call;
use crate::sight::Sight;
use crate::weights::Weights;
use prorl_kernels::layers;
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
    let layout = prompts.layout(network.worth_packing());
    let mask = prompts.padded().then(|| {
        let mask = Tensor::zeros([layout.rows, layout.time], (Kind::Float, weights.shared.device()));
        mask.masked_fill(&layout.real().logical_not(), f64::NEG_INFINITY).unsqueeze(1)
    });
    let stack = &weights.encoder;
    let bias = call.encoder_buckets.bias(&stack.relative_bias, 0, layout.time, layout.time); // [heads, T, T]
    let sight = Sight::all(network, bias, mask.as_ref(), &layout);
    let tokens = layout.pack(&prompts.tokens); // [N]
    let mut states = Tensor::embedding(&weights.shared, &tokens, -1, false, false); // [N, D]
    if let Some(target) = &weights.target {
        states += layout.pack(&prompts.targets(vocabulary.digits)).unsqueeze(-1) * target;
    }
    let mut states = network.dropped(states);
    for block in &FusedStack::new(stack, network.factors).blocks {
        states =
            network.residual(&states, &sight.look(network, &Source::States(&states), block, &layout, None), &block.o);
        states = network.feed_forward(&states, block);
    }
    Encoded { states: network.dropped(network.normalise(&states)), layout, mask }
}

impl Encoded {
    /// Keys and values for every decoder layer, head by head, over the rectangle.
    pub fn memories(&self, network: &Network, weights: &Weights) -> Vec<Memory> {
        let (joined, layers) = self.joined(network, weights);
        let joined = self.layout.spread(&network.for_products(&joined));
        let mut parts = network.by_head(&joined, 2 * layers).into_iter();
        let mut heads = || parts.by_ref().take(network.heads as usize).collect();
        (0..layers).map(|_| Memory { keys: heads(), values: heads() }).collect()
    }

    /// Keys and values for every decoder layer, side by side. // a layer: [N, 2 * heads * d_kv]
    pub fn keys_values(&self, network: &Network, weights: &Weights) -> Vec<Tensor> {
        let (joined, layers) = self.joined(network, weights);
        joined.view([-1, layers, 2 * network.inner()]).unbind(1)
    }

    /// Keys and values of all decoder layers, one product for all, and how many layers. // [N, layers * 2 * heads * d_kv]
    fn joined(&self, network: &Network, weights: &Weights) -> (Tensor, i64) {
        let by_row = fused::cross_keys_values(weights, network.factors);
        let joined = network.projected(&network.factors.of(&self.states), &layers::Weights::of(by_row.tr()));
        (joined, weights.decoder.blocks.len() as i64)
    }
}
