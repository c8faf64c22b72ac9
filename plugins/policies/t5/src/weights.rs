//! The weights: names, shapes and initial values of Hugging Face's `T5ForConditionalGeneration`.
//!
//! Tied copies (`lm_head`, `embed_tokens`) are dropped, as in `model.safetensors`.

use crate::parameters::T5Parameters;
use tch::{Device, Kind, Tensor};

/// One attention sub-layer.
pub struct Attention {
    pub norm: Tensor, // [D]
    pub q: Tensor,    // [heads * d_kv, D]
    pub k: Tensor,    // [heads * d_kv, D]
    pub v: Tensor,    // [heads * d_kv, D]
    pub o: Tensor,    // [D, heads * d_kv]
}

/// One feed-forward sub-layer.
pub struct FeedForward {
    pub norm: Tensor, // [D]
    pub wi: Tensor,   // [d_ff, D]
    pub wo: Tensor,   // [D, d_ff]
}

/// One layer of a stack; only the decoder's look at the encoder.
pub struct Block {
    pub attention: Attention,
    pub cross: Option<Attention>,
    pub feed_forward: FeedForward,
}

/// Encoder or decoder.
pub struct Stack {
    pub blocks: Vec<Block>,
    pub relative_bias: Tensor, // [buckets, heads]
    pub final_norm: Tensor,    // [D]
}

/// All weights.
pub struct Weights {
    pub shared: Tensor, // [V, D]
    /// Added to the target's tokens.
    pub target: Option<Tensor>, // [D]
    pub encoder: Stack,
    pub decoder: Stack,
}

impl Weights {
    /// Fresh weights as `T5PreTrainedModel._init_weights` draws them, but for the relative biases, whose deviation is a parameter.
    pub fn fresh(parameters: &T5Parameters, vocabulary: i64, device: Device) -> Self {
        let fresh = Fresh { parameters, device };
        Self {
            shared: fresh.normal(&[vocabulary, parameters.d_model], 1.0),
            target: parameters.target_embedding.then(|| fresh.normal(&[parameters.d_model], 1.0)),
            encoder: fresh.stack(false),
            decoder: fresh.stack(true),
        }
    }

    /// Weights by name, sharing their storage.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let mut named = vec![("shared.weight".to_owned(), self.shared.shallow_clone())];
        named
            .extend(self.target.as_ref().map(|target| ("encoder.target_embedding".to_owned(), target.shallow_clone())));
        for (stack, name) in [(&self.encoder, "encoder"), (&self.decoder, "decoder")] {
            stack.name_into(name, &mut named);
        }
        named
    }
}

impl Stack {
    fn name_into(&self, stack: &str, named: &mut Vec<(String, Tensor)>) {
        let mut put = |name: String, tensor: &Tensor| named.push((name + ".weight", tensor.shallow_clone()));
        put(format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"), &self.relative_bias);
        put(format!("{stack}.final_layer_norm"), &self.final_norm);
        for (index, block) in self.blocks.iter().enumerate() {
            let layer = |number: usize| format!("{stack}.block.{index}.layer.{number}");
            let attentions = [(Some(&block.attention), "SelfAttention"), (block.cross.as_ref(), "EncDecAttention")];
            for (number, (attention, name)) in attentions.into_iter().enumerate() {
                let Some(attention) = attention else { continue };
                put(format!("{}.layer_norm", layer(number)), &attention.norm);
                let Attention { q, k, v, o, .. } = attention;
                for (part, tensor) in [("q", q), ("k", k), ("v", v), ("o", o)] {
                    put(format!("{}.{name}.{part}", layer(number)), tensor);
                }
            }
            let last = layer(1 + usize::from(block.cross.is_some()));
            put(format!("{last}.layer_norm"), &block.feed_forward.norm);
            put(format!("{last}.DenseReluDense.wi"), &block.feed_forward.wi);
            put(format!("{last}.DenseReluDense.wo"), &block.feed_forward.wo);
        }
    }
}

struct Fresh<'a> {
    parameters: &'a T5Parameters,
    device: Device,
}

impl Fresh<'_> {
    fn normal(&self, size: &[i64], deviation: f64) -> Tensor {
        let draw = Tensor::randn(size, (Kind::Float, self.device));
        (draw * (deviation * self.parameters.initializer_factor)).set_requires_grad(true)
    }

    fn norm(&self) -> Tensor {
        let ones = Tensor::ones([self.parameters.d_model], (Kind::Float, self.device));
        (ones * self.parameters.initializer_factor).set_requires_grad(true)
    }

    fn stack(&self, cross: bool) -> Stack {
        let T5Parameters { buckets, heads, layers, relative_bias_deviation, .. } = *self.parameters;
        Stack {
            blocks: (0..layers).map(|_| self.block(cross)).collect(),
            relative_bias: self.normal(&[buckets, heads], relative_bias_deviation),
            final_norm: self.norm(),
        }
    }

    fn block(&self, cross: bool) -> Block {
        let T5Parameters { d_model, d_ff, .. } = *self.parameters;
        Block {
            attention: self.attention(),
            cross: cross.then(|| self.attention()),
            feed_forward: FeedForward {
                norm: self.norm(),
                wi: self.normal(&[d_ff, d_model], (d_model as f64).powf(-0.5)),
                wo: self.normal(&[d_model, d_ff], (d_ff as f64).powf(-0.5)),
            },
        }
    }

    fn attention(&self) -> Attention {
        let T5Parameters { d_model, heads, d_kv, .. } = *self.parameters;
        let inner = heads * d_kv;
        Attention {
            norm: self.norm(),
            q: self.normal(&[inner, d_model], ((d_model * d_kv) as f64).powf(-0.5)),
            k: self.normal(&[inner, d_model], (d_model as f64).powf(-0.5)),
            v: self.normal(&[inner, d_model], (d_model as f64).powf(-0.5)),
            o: self.normal(&[d_model, inner], (inner as f64).powf(-0.5)),
        }
    }
}
