//! The decoder token by token, for drawing paths: keys and values of earlier tokens are kept.

use crate::encoder::{Encoded, cross_keys};
use crate::layers::Shape;
use crate::weights::T5Weights;
use prorl_sdk::prelude::*;

/// Decoding of `group` rows for every prompt, one token at a time; gradients are not wanted.
pub struct Steps<'a> {
    weights: &'a T5Weights,
    shape: Shape,
    group: i64,
    position: i64,
    longest: i64,
    bias: Tensor,                  // [h, T, T]
    own: Vec<(Tensor, Tensor)>,    // per layer [rows, h, T, k]
    prompt: Vec<(Tensor, Tensor)>, // per layer [B, h, S, k]
    mask: Option<Tensor>,          // [B, 1, 1, S]
    joined: Vec<Tensor>,           // per layer [3 · h · k, D]
}

impl<'a> Steps<'a> {
    /// Ready for the first token of `group` rows a prompt, of at most `longest` tokens.
    pub fn new(weights: &'a T5Weights, shape: Shape, encoded: &Encoded, group: i64, longest: i64) -> Self {
        let prompts = encoded.states.size()[0];
        let device = encoded.states.device();
        let empty = || Tensor::empty([prompts * group, shape.heads, longest, shape.d_kv], (Kind::Float, device));
        let blocks = &weights.decoder.blocks;
        Self {
            weights,
            group,
            position: 0,
            longest,
            bias: shape.bias(&weights.decoder.bias, 0..longest, longest, true).contiguous(),
            own: blocks.iter().map(|_| (empty(), empty())).collect(),
            prompt: blocks
                .iter()
                .filter_map(|block| block.cross.as_ref())
                .map(|cross| {
                    let (keys, values) = cross_keys(&shape, encoded, cross);
                    (keys.contiguous(), values.contiguous())
                })
                .collect(),
            mask: encoded.mask.as_ref().map(Tensor::shallow_clone),
            joined: blocks.iter().map(|it| Tensor::cat(&[&it.own.q, &it.own.k, &it.own.v], 0)).collect(),
            shape,
        }
    }

    /// Reads a token of every row; gives the states from which the next is chosen. // [rows] to [rows, D]
    pub fn read(&mut self, tokens: &Tensor) -> Tensor {
        debug_assert!(self.position < self.longest);
        let mut x = self.weights.shared.index_select(0, tokens); // [rows, D]
        for layer in 0..self.weights.decoder.blocks.len() {
            let block = &self.weights.decoder.blocks[layer];
            let normed = self.shape.norm(&x, &block.own.norm);
            x = &x + self.self_attention(layer, &normed).linear::<Tensor>(&block.own.o, None);
            if let Some(cross) = &block.cross {
                let q = self.shape.norm(&x, &cross.norm).linear::<Tensor>(&cross.q, None);
                x = &x + self.cross_attention(layer, &q).linear::<Tensor>(&cross.o, None);
            }
            x = self.shape.feed_forward(&x, &block.feed_forward);
        }
        self.position += 1;
        self.shape.norm(&x, &self.weights.decoder.norm)
    }

    fn self_attention(&mut self, layer: usize, x: &Tensor) -> Tensor {
        let (rows, now) = (x.size()[0], self.position);
        let qkv = x.linear::<Tensor>(&self.joined[layer], None).view([rows, 3, self.shape.heads, 1, self.shape.d_kv]);
        let (keys, values) = &self.own[layer];
        keys.narrow(2, now, 1).copy_(&qkv.select(1, 1));
        values.narrow(2, now, 1).copy_(&qkv.select(1, 2));
        let bias = self.bias.narrow(1, now, 1).narrow(2, 0, now + 1).unsqueeze(0); // [1, h, 1, t]
        let (keys, values) = (keys.narrow(2, 0, now + 1), values.narrow(2, 0, now + 1)); // [rows, h, t, k]
        let mixed = self.shape.attend(&qkv.select(1, 0), &keys, &values, Some(&bias)); // [rows, h, 1, k]
        mixed.reshape([rows, -1])
    }

    /// A prompt's rows are the queries of one attention. // [rows, h · k]
    fn cross_attention(&self, layer: usize, q: &Tensor) -> Tensor {
        let (rows, (keys, values)) = (q.size()[0], &self.prompt[layer]);
        let q = q.view([-1, self.group, self.shape.heads, self.shape.d_kv]).transpose(1, 2); // [B, h, G, k]
        self.shape.attend(&q, keys, values, self.mask.as_ref()).transpose(1, 2).reshape([rows, -1])
    }

    /// Goes on with the given rows, `group` of them for every prompt.
    pub fn select(&mut self, rows: &Tensor, group: i64) {
        let filled = self.position;
        let same_size = group == self.group;
        for (keys, values) in &mut self.own {
            for kept in [keys, values] {
                let chosen = kept.narrow(2, 0, filled).index_select(0, rows);
                if !same_size {
                    let mut size = kept.size();
                    size[0] = rows.size()[0];
                    *kept = Tensor::empty(&size[..], (Kind::Float, rows.device()));
                }
                kept.narrow(2, 0, filled).copy_(&chosen);
            }
        }
        self.group = group;
    }
}
