//! The encoder: prompts to states, each prompt once however many paths it gets.

use crate::layers::Shape;
use crate::weights::{AttentionWeights, T5Weights};
use prorl_sdk::prelude::*;

/// Prompts as the decoder sees them.
pub struct Encoded {
    /// State of every token. // [B, S, D]
    pub states: Tensor,
    /// 0 for a token, minus infinity for padding; absent where nothing is padded. // [B, 1, 1, S]
    pub mask: Option<Tensor>,
}

/// Encodes tokens `[B, S]`, padded with 0 on the right.
pub fn encode(weights: &T5Weights, shape: &Shape, tokens: &Tensor) -> Encoded {
    let [prompts, length] = [tokens.size()[0], tokens.size()[1]];
    let padding = tokens.eq(0); // [B, S]
    let mask = (padding.any().int64_value(&[]) != 0).then(|| {
        let mask = Tensor::zeros([prompts, length], (Kind::Float, tokens.device()));
        mask.masked_fill(&padding, f64::NEG_INFINITY).view([prompts, 1, 1, length])
    });
    let bias = shape.bias(&weights.encoder.bias, 0..length, length, false).unsqueeze(0); // [1, h, S, S]
    let bias = mask.as_ref().map_or_else(|| bias.shallow_clone(), |mask| &bias + mask);
    let embedded = Tensor::embedding(&weights.shared, tokens, -1, false, false);
    let mut x = shape.drop(embedded); // [B, S, D]
    for block in &weights.encoder.blocks {
        x = &x + shape.drop(self_attention(shape, &shape.norm(&x, &block.own.norm), &block.own, &bias));
        x = shape.feed_forward(&x, &block.feed_forward);
    }
    Encoded { states: shape.drop(shape.norm(&x, &weights.encoder.norm)), mask }
}

fn self_attention(shape: &Shape, x: &Tensor, weights: &AttentionWeights, bias: &Tensor) -> Tensor {
    let [prompts, length] = [x.size()[0], x.size()[1]];
    let joined = Tensor::cat(&[&weights.q, &weights.k, &weights.v], 0); // [3 · h · k, D]
    let qkv = x.linear::<Tensor>(&joined, None).view([prompts, length, 3, shape.heads, shape.d_kv]);
    let part = |index: i64| qkv.select(2, index).transpose(1, 2); // [B, h, S, k]
    let mixed = shape.attend(&part(0), &part(1), &part(2), Some(bias));
    mixed.transpose(1, 2).reshape([prompts, length, -1]).linear::<Tensor>(&weights.o, None)
}

/// Keys and values of a prompt for one cross attention, `[B, h, S, k]` each.
pub fn cross_keys(shape: &Shape, encoded: &Encoded, weights: &AttentionWeights) -> (Tensor, Tensor) {
    let [prompts, length] = [encoded.states.size()[0], encoded.states.size()[1]];
    let joined = Tensor::cat(&[&weights.k, &weights.v], 0); // [2 · h · k, D]
    let both = encoded.states.linear::<Tensor>(&joined, None).view([prompts, length, 2, shape.heads, shape.d_kv]);
    (both.select(2, 0).transpose(1, 2), both.select(2, 1).transpose(1, 2))
}
