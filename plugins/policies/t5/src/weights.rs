//! Weights under Hugging Face's names, drawn as Hugging Face draws them.

use crate::parameters::T5Parameters;
use prorl_sdk::prelude::*;

/// Projections of an attention; each is `[out, in]`.
pub struct AttentionWeights {
    pub q: Tensor,
    pub k: Tensor,
    pub v: Tensor,
    pub o: Tensor,
    /// Norm before the attention. // [D]
    pub norm: Tensor,
}

/// Weights of a feed-forward layer.
pub struct FeedForwardWeights {
    pub wi: Tensor,
    pub wo: Tensor,
    /// Norm before the layer. // [D]
    pub norm: Tensor,
}

/// Weights of an encoder's or decoder's layer.
pub struct BlockWeights {
    pub own: AttentionWeights,
    /// Attention to the encoder's output; the decoder has it.
    pub cross: Option<AttentionWeights>,
    pub feed_forward: FeedForwardWeights,
}

/// Weights of the encoder or the decoder.
pub struct StackWeights {
    pub blocks: Vec<BlockWeights>,
    /// Bias of every bucket of relative positions, shared by all layers. // [buckets, heads]
    pub bias: Tensor,
    /// Norm at the end. // [D]
    pub norm: Tensor,
}

/// All weights.
pub struct T5Weights {
    /// Embedding of encoder, decoder and output. // [V, D]
    pub shared: Tensor,
    pub encoder: StackWeights,
    pub decoder: StackWeights,
    /// The same tensors by name.
    pub named: Vec<(String, Tensor)>,
}

struct Maker<'a> {
    parameters: &'a T5Parameters,
    device: Device,
    named: Vec<(String, Tensor)>,
}

impl T5Weights {
    /// Fresh weights, drawn from libtorch's generator.
    pub fn new(parameters: &T5Parameters, vocabulary: i64, device: Device) -> Self {
        let mut maker = Maker { parameters, device, named: Vec::new() };
        let shared = maker.normal("shared.weight".into(), [vocabulary, parameters.d_model], 1.0);
        let encoder = maker.stack("encoder", false);
        let decoder = maker.stack("decoder", true);
        Self { shared, encoder, decoder, named: maker.named }
    }
}

impl Maker<'_> {
    fn keep(&mut self, name: String, tensor: Tensor) -> Tensor {
        let tensor = tensor.set_requires_grad(true);
        self.named.push((name, tensor.shallow_clone()));
        tensor
    }

    fn normal(&mut self, name: String, size: [i64; 2], deviation: f64) -> Tensor {
        let drawn = Tensor::randn(size, (Kind::Float, self.device)) * (deviation * self.parameters.initializer_factor);
        self.keep(name, drawn)
    }

    fn norm(&mut self, name: String) -> Tensor {
        let ones =
            Tensor::ones([self.parameters.d_model], (Kind::Float, self.device)) * self.parameters.initializer_factor;
        self.keep(name, ones)
    }

    fn stack(&mut self, stack: &str, decodes: bool) -> StackWeights {
        let T5Parameters { d_model, heads, buckets, layers, .. } = *self.parameters;
        let bias = format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
        let bias = self.normal(bias, [buckets, heads], (d_model as f64).powf(-0.5));
        let blocks = (0..layers).map(|layer| self.block(&format!("{stack}.block.{layer}"), decodes)).collect();
        StackWeights { blocks, bias, norm: self.norm(format!("{stack}.final_layer_norm.weight")) }
    }

    fn block(&mut self, block: &str, decodes: bool) -> BlockWeights {
        let own = self.attention(&format!("{block}.layer.0"), "SelfAttention");
        let cross = decodes.then(|| self.attention(&format!("{block}.layer.1"), "EncDecAttention"));
        let place = if decodes { 2 } else { 1 };
        let feed_forward = self.feed_forward(&format!("{block}.layer.{place}"));
        BlockWeights { own, cross, feed_forward }
    }

    fn attention(&mut self, layer: &str, kind: &str) -> AttentionWeights {
        let T5Parameters { d_model, d_kv, heads, .. } = *self.parameters;
        let (inner, width) = (heads * d_kv, d_model as f64);
        let name = |part: &str| format!("{layer}.{kind}.{part}.weight");
        AttentionWeights {
            q: self.normal(name("q"), [inner, d_model], (width * d_kv as f64).powf(-0.5)),
            k: self.normal(name("k"), [inner, d_model], width.powf(-0.5)),
            v: self.normal(name("v"), [inner, d_model], width.powf(-0.5)),
            o: self.normal(name("o"), [d_model, inner], (inner as f64).powf(-0.5)),
            norm: self.norm(format!("{layer}.layer_norm.weight")),
        }
    }

    fn feed_forward(&mut self, layer: &str) -> FeedForwardWeights {
        let T5Parameters { d_model, d_ff, .. } = *self.parameters;
        let name = |part: &str| format!("{layer}.DenseReluDense.{part}.weight");
        FeedForwardWeights {
            wi: self.normal(name("wi"), [d_ff, d_model], (d_model as f64).powf(-0.5)),
            wo: self.normal(name("wo"), [d_model, d_ff], (d_ff as f64).powf(-0.5)),
            norm: self.norm(format!("{layer}.layer_norm.weight")),
        }
    }
}
