//! The decoder over whole given paths, for learning.
//!
//! Tokens after a path's end take no part in any product: all layers work on the tokens that exist, packed
//! `[N, D]`; only inside attention are rows laid out by path. A group shares its prompt's keys and values.

use crate::encoder::{Encoded, cross_keys};
use crate::layers::Shape;
use crate::weights::{AttentionWeights, T5Weights};
use prorl_sdk::prelude::*;

/// Where the tokens of a batch of paths stand.
pub struct Layout {
    prompts: i64,
    group: i64,
    length: i64,
    /// Place of every token in `[B · G · T]`; absent where all places are taken. // [N]
    places: Option<Tensor>,
}

impl Layout {
    /// Tokens `[B, G, T]` of which `kept` exist.
    pub fn new(kept: &Tensor) -> Self {
        let size = kept.size();
        let flat = kept.flatten(0, -1);
        let places = (flat.all().int64_value(&[]) == 0).then(|| flat.nonzero().squeeze_dim(-1));
        Self { prompts: size[0], group: size[1], length: size[2], places }
    }

    /// The tokens that exist, of numbers laid out by path. // [B · G · T, ...] to [N, ...]
    pub fn pack(&self, laid_out: &Tensor) -> Tensor {
        self.places.as_ref().map_or_else(|| laid_out.shallow_clone(), |places| laid_out.index_select(0, places))
    }

    /// Back to the layout by path, zeros where no token exists. // [N, C] to [B · G · T, C]
    pub fn unpack(&self, packed: &Tensor) -> Tensor {
        let Some(places) = &self.places else { return packed.shallow_clone() };
        let rows = self.prompts * self.group * self.length;
        let empty = Tensor::zeros([rows, packed.size()[1]], (packed.kind(), packed.device()));
        empty.index_copy(0, places, packed)
    }
}

/// States from which the next token is chosen, for the tokens that exist. // [N, D]
///
/// `inputs` are the tokens read, `[B, G, T]`: 0, then all but the last of a path.
pub fn decode(weights: &T5Weights, shape: &Shape, encoded: &Encoded, inputs: &Tensor, layout: &Layout) -> Tensor {
    let length = layout.length;
    let bias = causal_bias(weights, shape, length, inputs.device()); // [1, h, T, T]
    let tokens = layout.pack(&inputs.flatten(0, -1)); // [N]
    let mut x = shape.drop(Tensor::embedding(&weights.shared, &tokens, -1, false, false)); // [N, D]
    for block in &weights.decoder.blocks {
        x = &x + shape.drop(self_attention(shape, &shape.norm(&x, &block.own.norm), &block.own, &bias, layout));
        if let Some(cross) = &block.cross {
            x = &x + shape.drop(cross_attention(shape, &shape.norm(&x, &cross.norm), cross, encoded, layout));
        }
        x = shape.feed_forward(&x, &block.feed_forward);
    }
    shape.drop(shape.norm(&x, &weights.decoder.norm))
}

fn causal_bias(weights: &T5Weights, shape: &Shape, length: i64, device: Device) -> Tensor {
    let future = Tensor::full([length, length], f64::NEG_INFINITY, (Kind::Float, device)).triu(1); // [T, T]
    (shape.bias(&weights.decoder.bias, 0..length, length, true) + future).unsqueeze(0)
}

fn self_attention(shape: &Shape, x: &Tensor, weights: &AttentionWeights, bias: &Tensor, layout: &Layout) -> Tensor {
    let rows = layout.prompts * layout.group;
    let joined = Tensor::cat(&[&weights.q, &weights.k, &weights.v], 0); // [3 · h · k, D]
    let qkv = layout.unpack(&x.linear::<Tensor>(&joined, None));
    let qkv = qkv.view([rows, layout.length, 3, shape.heads, shape.d_kv]);
    let part = |index: i64| qkv.select(2, index).transpose(1, 2); // [B · G, h, T, k]
    let mixed = shape.attend(&part(0), &part(1), &part(2), Some(bias));
    let mixed = mixed.transpose(1, 2).reshape([rows * layout.length, -1]);
    layout.pack(&mixed).linear::<Tensor>(&weights.o, None)
}

fn cross_attention(
    shape: &Shape,
    x: &Tensor,
    weights: &AttentionWeights,
    encoded: &Encoded,
    layout: &Layout,
) -> Tensor {
    let (keys, values) = cross_keys(shape, encoded, weights); // [B, h, S, k]
    let q = layout.unpack(&x.linear::<Tensor>(&weights.q, None));
    let q = q.view([layout.prompts, layout.group * layout.length, shape.heads, shape.d_kv]).transpose(1, 2);
    let mixed = shape.attend(&q, &keys, &values, encoded.mask.as_ref()); // [B, h, G · T, k]
    let mixed = mixed.transpose(1, 2).reshape([layout.prompts * layout.group * layout.length, -1]);
    layout.pack(&mixed).linear::<Tensor>(&weights.o, None)
}
