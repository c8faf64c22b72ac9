//! What paths see of their prompts, and the ways to look.
//!
//! As positions see each other; or, whichever takes least, with weights multiplied where fewer rows meet them. Many tokens
//! look at keys and values that the weights on the other side are part of, `x̂ Wq Kᵀ = x̂ (Wq Kᵀ)` and `(P V) Wo = P (V Wo)`;
//! few tokens look at encoded prompts themselves, `q (X Wk)ᵀ = (q Wkᵀ) Xᵀ` and `P (X Wv) = (P X) Wv`.

use crate::attention::Network;
use crate::encoder::{self, Encoded};
use crate::fused::{FusedCross, FusedStack, cross_keys_values};
use crate::layout::Layout;
use crate::weights::Weights;
use prorl_kernels::attention::{Attention, Spans};
use prorl_kernels::layers::{self, Memory};
use prorl_kernels::sublayers::{self, Sights};
use tch::{Kind, Tensor};

/// The prompts' keys and values for every layer of the decoder, and how paths look at them.
pub enum Memories<'a> {
    /// In one pass: keys and values of all heads side by side.
    Fused { layers: Vec<Tensor>, spans: Spans }, // [N, 2 * heads * d_kv]
    /// By products, head by head.
    Products { layers: Vec<encoder::Memory>, mask: Option<&'a Tensor> }, // mask [B, 1, T]
    /// By products of states with keys that queries' weights are part of, and of values with the output's weights.
    Absorbed(Vec<Absorbed>),
    /// By products of encoded prompts themselves with queries that keys' weights are part of.
    Bare(Bare),
}

/// A layer's keys and values in the width of states.
pub enum Absorbed {
    /// For whole layers in chunks of rows.
    Chunked(Memory),
    /// For products, in the kind of factors; each head's are filled up to a multiple of eight, which the mask hides.
    Products { keys: Tensor, values: Tensor, mask: Option<Tensor> }, // [B, heads * T, D], [B, T]
}

impl<'a> Memories<'a> {
    /// Those of encoded prompts, for `tokens` of every prompt's paths.
    pub fn of(encoded: &'a Encoded, network: &Network, weights: &Weights, stack: &FusedStack, tokens: i64) -> Self {
        if network.absorbs(encoded.layout.time, tokens) {
            return Self::Absorbed(Absorbed::layers(network, weights, encoded, stack));
        }
        if network.leaves_bare(encoded.layout.time, tokens) {
            return Self::Bare(Bare::new(network, weights, encoded));
        }
        if network.fused {
            return Self::Fused { layers: encoded.keys_values(network, weights), spans: encoded.layout.spans() };
        }
        Self::Products { layers: encoded.memories(network, weights), mask: encoded.mask.as_ref() }
    }

    /// The cross attention of a layer with its residual: a prompt's tokens are one block of queries. // [N, D]
    pub fn attend(
        &self,
        network: &Network,
        layer: usize,
        states: &Tensor,
        cross: &FusedCross,
        of_prompts: &Layout,
    ) -> Tensor {
        let found = match self {
            Self::Absorbed(layers) => return layers[layer].attend(network, states, of_prompts),
            Self::Bare(bare) => {
                let queries = network.for_products(&network.factors_of_attention(states, &cross.q));
                network.factors.of(&bare.look(network, layer, &queries, of_prompts))
            }
            Self::Fused { layers, spans } => {
                let queries = network.factors_of_attention(states, &cross.q); // [N, heads * d_kv]
                let Network { heads, dropout, .. } = *network;
                let factors = network.kept(&queries);
                let attention = Attention { heads, bias: None, causal: false, factors, dropout };
                attention.across(&queries, &of_prompts.spans(), &layers[layer], spans)
            }
            Self::Products { layers, mask } => {
                let encoder::Memory { keys, values } = &layers[layer];
                let queries = network.for_products(&network.factors_of_attention(states, &cross.q));
                let queries = of_prompts.spread(&queries); // [B, queries, heads * d_kv]
                let bias = mask.map_or(&[][..], std::slice::from_ref);
                let found = network.look_up(&network.by_head(&queries, 1), keys, values, bias);
                network.factors.of(&of_prompts.pack(&found))
            }
        };
        network.residual(states, &found, &cross.o)
    }
}

/// Rows of a prompt that are worth products of their own; with fewer, all prompts' are one.
pub const WORTH_PRODUCTS: i64 = 64;

impl Absorbed {
    /// Those of every layer of the decoder.
    pub fn layers(network: &Network, weights: &Weights, encoded: &Encoded, stack: &FusedStack) -> Vec<Self> {
        let mask = encoded.mask.as_ref().map(|mask| mask.squeeze_dim(1)); // [B, T]
        let chunked = network.goes_in_chunks() && network.dropout == 0.0;
        let keys = if chunked { encoded.layout.time } else { (encoded.layout.time + 7) / 8 * 8 };
        let mask = filled(mask, keys, encoded);
        let layers = encoded.keys_values(network, weights).into_iter().zip(&stack.blocks);
        let layers = layers.filter_map(|(both, block)| Some((both, block.cross.as_ref()?)));
        let layers = layers.map(|(both, cross)| {
            let (keys, values) = absorbed(network, encoded, &both, cross, keys);
            match chunked {
                true => Self::Chunked(Memory::of(&keys, &values, mask.as_ref(), network.heads)),
                false => Self::Products { keys, values, mask: mask.as_ref().map(Tensor::shallow_clone) },
            }
        });
        layers.collect()
    }

    /// Cross attention with its residual, `states + softmax(x̂ Wq Kᵀ) V Wo` with `Wq Kᵀ` and `V Wo` at hand. Each of the
    /// layout's rows has as many states. // [rows * n, D]
    pub fn attend(&self, network: &Network, states: &Tensor, of_prompts: &Layout) -> Tensor {
        let (kept, d_model) = (of_prompts.len(), network.d_model);
        let each = if kept == 0 { 1 } else { states.size()[0] / kept };
        match self {
            Self::Chunked(memory) => layers::look(states, &of_prompts.spans_of(each), memory, network.eps),
            Self::Products { keys, values, mask } if network.looks_by_prompt(of_prompts.time * each) => {
                let sights = Sights { keys, values, mask: mask.as_ref(), heads: network.heads };
                sublayers::look(states, &of_prompts.spans_of(each), sights, network.eps)
            }
            Self::Products { keys, values, mask } => {
                let prompts = of_prompts.rows;
                let rows = network.normalised_in(keys.kind(), states).view([kept, -1]); // [rows, n * D]
                let normalised = of_prompts.spread(&rows).view([prompts, -1, d_model]); // [B, queries, D]
                let scores = normalised.bmm(&keys.transpose(1, 2)); // [B, queries, heads * T]
                let by_head = scores.unflatten(-1, [network.heads, -1]); // [B, queries, heads, T]
                let weights = network.probabilities_among(by_head, mask.as_ref()).flatten(2, 3);
                let found = weights.bmm(values).view([prompts, of_prompts.time, -1]);
                network.plus(states, of_prompts.pack(&found).view([-1, d_model]))
            }
        }
    }

    /// Of some prompts, by their places.
    #[must_use]
    pub fn some(&self, places: &Tensor) -> Self {
        let some = |all: &Tensor| all.index_select(0, places);
        match self {
            Self::Chunked(memory) => Self::Chunked(memory.some(places)),
            Self::Products { keys, values, mask } => {
                Self::Products { keys: some(keys), values: some(values), mask: mask.as_ref().map(some) }
            }
        }
    }
}

/// A mask `[B, T]` of encoded prompts for `keys` keys. // [B, keys]
fn filled(mask: Option<Tensor>, keys: i64, encoded: &Encoded) -> Option<Tensor> {
    let Layout { rows, time, .. } = encoded.layout;
    if keys == time {
        return mask;
    }
    let mask = mask.unwrap_or_else(|| Tensor::zeros([rows, time], (Kind::Float, encoded.states.device())));
    Some(mask.pad([0, keys - time], "constant", f64::NEG_INFINITY))
}

/// Keys and values with the weights around them, from those side by side `[N, 2 * heads * d_kv]`, filled up with zeros to
/// `keys` a head. // [B, heads * keys, D]
fn absorbed(network: &Network, encoded: &Encoded, both: &Tensor, cross: &FusedCross, keys: i64) -> (Tensor, Tensor) {
    let Network { heads, d_kv, d_model, .. } = *network;
    let prompts = encoded.layout.rows;
    let both = encoded.layout.spread(&network.factors.of(both)); // [B, T, 2 * heads * d_kv]
    let missing = keys - encoded.layout.time;
    let both = if missing > 0 { both.constant_pad_nd([0, 0, 0, missing]) } else { both };
    let parts = both.view([prompts * keys, 2, heads, d_kv]).permute([1, 2, 0, 3]);
    let absorbed = |part: i64, weight: &Tensor| {
        let found = parts.get(part).bmm(&weight.reshape([heads, d_kv, d_model])); // [heads, B * keys, D]
        found.view([heads, prompts, keys, d_model]).transpose(0, 1).reshape([prompts, heads * keys, d_model])
    };
    (absorbed(0, &cross.q.tensor().tr()), absorbed(1, cross.o.tensor()))
}

/// Encoded prompts without keys and values, and the weights that would make these.
pub struct Bare {
    states: Tensor,       // [B, T, D]
    keys: Vec<Tensor>,    // a layer: [heads, d_kv, D]
    values: Vec<Tensor>,  // a layer: [heads, D, d_kv]
    mask: Option<Tensor>, // [B, 1, T]
}

impl Bare {
    fn new(network: &Network, weights: &Weights, encoded: &Encoded) -> Self {
        let joined = cross_keys_values(weights, network.factors).to_kind(network.attention);
        let by_head = joined.view([-1, 2, network.heads, network.d_kv, network.d_model]);
        Self {
            states: encoded.layout.spread(&network.for_products(&encoded.states)),
            keys: by_head.select(1, 0).unbind(0),
            values: by_head.select(1, 1).transpose(2, 3).unbind(0),
            mask: encoded.mask.as_ref().map(Tensor::shallow_clone),
        }
    }

    /// What queries `[N, heads * d_kv]` find. // as `queries`
    fn look(&self, network: &Network, layer: usize, queries: &Tensor, of_prompts: &Layout) -> Tensor {
        let Network { heads, d_kv, d_model, .. } = *network;
        let (tokens, prompts, most) = (queries.size()[0], of_prompts.rows, of_prompts.time);
        // [heads, N, ..] to and from [N, heads * ..]
        let apart = |joined: &Tensor, width: i64| joined.view([tokens, heads, width]).transpose(0, 1);
        let joined = |apart: &Tensor| apart.transpose(0, 1).flatten(1, 2);
        let queries = joined(&apart(queries, d_kv).bmm(&self.keys[layer])); // [N, heads * D]
        let queries = of_prompts.spread(&queries).view([prompts, most * heads, d_model]);
        let scores = queries.bmm(&self.states.transpose(1, 2)); // [B, queries * heads, T]
        let found = network.probabilities(scores, self.mask.as_ref()).bmm(&self.states); // [B, queries * heads, D]
        let found = of_prompts.pack(&found.view([prompts, most, heads * d_model])); // [N, heads * D]
        joined(&apart(&found, d_model).bmm(&self.values[layer]))
    }
}
