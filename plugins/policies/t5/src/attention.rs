//! What both stacks share: normalisation, attention, feed-forward.

use crate::fused::FusedBlock;
use crate::layout::Layout;
use crate::precision::Factors;
use prorl_sdk::dropout::dropout;
use tch::{Kind, Tensor};

/// Sizes and switches of the network in one call.
#[derive(Clone, Copy)]
pub struct Network {
    pub d_model: i64,
    pub heads: i64,
    pub d_kv: i64,
    pub eps: f64,
    /// How the factors of products are kept.
    pub factors: Factors,
    /// Whether products read them where they lie.
    pub reads_strides: bool,
    /// Share of what is dropped; 0 outside training.
    pub dropout: f64,
}

impl Network {
    /// Width of all heads together.
    pub fn inner(&self) -> i64 {
        self.heads * self.d_kv
    }

    /// `x / sqrt(mean(x²) + eps)`; the norm's weight is part of the next product. // [N, D]
    pub fn normalise(&self, states: &Tensor) -> Tensor {
        // A norm's backward pass would look for zeros.
        let mean_square = Tensor::linalg_vecdot(states, states, -1) / self.d_model as f64; // [N]
        states * (mean_square + self.eps).rsqrt().unsqueeze(-1)
    }

    /// Queries, or queries, keys and values, of states: factors of attention's products. // [N, out]
    pub fn factors_of_attention(&self, states: &Tensor, weight: &Tensor) -> Tensor {
        self.factors.of(&self.factors.product(&self.normalise(states), weight))
    }

    /// Dropout where there is any.
    pub fn dropped(&self, states: Tensor) -> Tensor {
        dropout(&states, self.dropout, true)
    }

    /// `states + inner output`, one product.
    pub fn residual(&self, states: &Tensor, inner: &Tensor, weight: &Tensor) -> Tensor {
        if self.dropout > 0.0 {
            return states + self.dropped(self.factors.of(inner).mm(weight));
        }
        self.factors.add_product(states, inner, weight)
    }

    /// The feed-forward sub-layer with its residual. // [N, D]
    pub fn feed_forward(&self, states: &Tensor, block: &FusedBlock) -> Tensor {
        // Dropout does not change signs, so it may come first; what is kept for backward then is one tensor less.
        let inner = self.dropped(self.factors.product(&self.normalise(states), &block.wi)).relu_(); // [N, d_ff]
        self.residual(states, &inner, &block.wo)
    }

    /// The self-attention sub-layer with its residual; `bias` is `[rows or 1, T, T]`, one a head. // [N, D]
    pub fn self_attention(&self, states: &Tensor, block: &FusedBlock, bias: &[Tensor], layout: &Layout) -> Tensor {
        self.residual(states, &self.attended(states, block, bias, layout), &block.o)
    }

    /// What every position finds in its row. // [N, heads * d_kv]
    pub fn attended(&self, states: &Tensor, block: &FusedBlock, bias: &[Tensor], layout: &Layout) -> Tensor {
        let qkv = layout.spread(&self.factors_of_attention(states, &block.qkv));
        let parts = self.by_head(&qkv, 3);
        let (queries, others) = parts.split_at(self.heads as usize);
        let (keys, values) = others.split_at(self.heads as usize);
        layout.pack(&self.look_up(queries, keys, values, bias))
    }

    /// What queries find among keys, head by head; all are `[rows, .., d_kv]`, one a head. `bias`, one a head or one for
    /// all or none, is added to scores `[rows, queries, keys]`. // [rows, queries, heads * d_kv]
    pub fn look_up(&self, queries: &[Tensor], keys: &[Tensor], values: &[Tensor], bias: &[Tensor]) -> Tensor {
        let found = queries.iter().zip(keys).zip(values).enumerate().map(|(head, ((queries, keys), values))| {
            let scores = queries.bmm(&keys.transpose(1, 2));
            self.probabilities(scores, bias.get(head).or(bias.last())).bmm(values)
        });
        Tensor::cat(&found.collect::<Vec<_>>(), -1)
    }

    /// The same for scores of all heads at once, `[rows, heads, queries, keys]`. // [rows * heads, queries, d_kv]
    pub fn mix(&self, scores: Tensor, bias: Option<&Tensor>, values: &Tensor) -> Tensor {
        self.probabilities(scores, bias).flatten(0, 1).bmm(values)
    }

    /// Softmax of the scores plus bias in float32, as factors. // as `scores`
    fn probabilities(&self, scores: Tensor, bias: Option<&Tensor>) -> Tensor {
        let mut scores = scores.to_kind(Kind::Float);
        if let Some(bias) = bias {
            scores += bias; // in place: a product's result is not needed backwards
        }
        self.dropped(self.factors.of(&scores.softmax(-1, None::<Kind>)))
    }

    /// `parts` projections side by side, each apart by head: `[rows, T, parts * heads * d_kv]` to `parts * heads` times
    /// `[rows, T, d_kv]`.
    pub fn by_head(&self, joined: &Tensor, parts: i64) -> Vec<Tensor> {
        let (rows, time) = (joined.size()[0], joined.size()[1]);
        let heads = joined.view([rows, time, parts * self.heads, self.d_kv]).unbind(2);
        heads.into_iter().map(|head| self.readable(head)).collect()
    }

    /// A factor as products read it best: as it is, or copied once.
    pub fn readable(&self, factor: Tensor) -> Tensor {
        if self.reads_strides { factor } else { factor.contiguous() }
    }

    /// Heads side by side again: `[rows * heads, T, d_kv]` to `[rows, T, heads * d_kv]`.
    pub fn merge(&self, heads: &Tensor, rows: i64) -> Tensor {
        let time = heads.size()[1];
        heads.view([rows, self.heads, time, self.d_kv]).transpose(1, 2).reshape([rows, time, self.inner()])
    }
}
