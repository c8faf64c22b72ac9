//! What both stacks share: normalisation, attention, feed-forward.

use crate::fused::FusedBlock;
use crate::layout::WORTH_PACKING;
use crate::memories::WORTH_PRODUCTS;
use crate::shared_start::SharedStart;
use prorl_kernels::factors::Factors;
use prorl_kernels::layers::{self, Inner, Weights};
use prorl_kernels::{dropout, lookup, norm, softmax, sublayers};
use prorl_sdk::dropout::dropout as any_dropout;
use tch::{Kind, Tensor};

/// Sizes and switches of the network in one call.
#[derive(Clone, Copy)]
pub struct Network {
    pub d_model: i64,
    pub heads: i64,
    pub d_kv: i64,
    pub eps: f64,
    /// How the factors of products with weights are kept.
    pub factors: Factors,
    /// Kind of the factors of attention's own products.
    pub attention: Kind,
    /// Whether products read them where they lie.
    pub reads_strides: bool,
    /// Whether whole sequences are attended to in one pass.
    pub fused: bool,
    /// Whether layers whose factors are multiplied in float32 go through in chunks of rows.
    pub chunked: bool,
    /// Whether each thread takes some rows through a whole sub-layer of libtorch's products.
    pub sublayers: bool,
    /// Whether prompts' keys and values may take in the weights around them.
    pub absorbing: bool,
    /// Whether the first layer may look its queries, keys and values up by token.
    pub by_token: bool,
    /// Share of what is dropped; 0 outside training.
    pub dropout: f64,
}

/// What a layer's attention begins with.
pub enum Source<'a> {
    States(&'a Tensor), // [N, D]
    /// Tokens as they are embedded: of equal ones, queries, keys and values are equal.
    Tokens {
        embedding: &'a Tensor,
        tokens: &'a Tensor,
    }, // [V, D], [N]
}

impl Network {
    /// Width of all heads together.
    pub fn inner(&self) -> i64 {
        self.heads * self.d_kv
    }

    /// How much of a rectangle must be real for padding to be left in.
    pub fn worth_packing(&self) -> f64 {
        if self.fused { 1.0 } else { WORTH_PACKING }
    }

    /// `x / sqrt(mean(x²) + eps)`; the norm's weight is part of the next product. // [N, D]
    pub fn normalise(&self, states: &Tensor) -> Tensor {
        if norm::serves(states.device(), states.kind(), self.d_model) {
            return norm::root_mean_square(states, self.eps, Factors::Float32);
        }
        // A norm's backward pass would look for zeros.
        let mean_square = Tensor::linalg_vecdot(states, states, -1) / self.d_model as f64; // [N]
        states * (mean_square + self.eps).rsqrt().unsqueeze(-1)
    }

    /// The same, rounded where `kind` asks for it. // [N, D]
    pub fn normalised_in(&self, kind: Kind, states: &Tensor) -> Tensor {
        if kind == Kind::Float { self.normalise(states) } else { self.factor(states) }
    }

    /// The same as a factor of a product with weights. // [N, D]
    pub fn factor(&self, states: &Tensor) -> Tensor {
        if norm::serves(states.device(), states.kind(), self.d_model) {
            return norm::root_mean_square(states, self.eps, self.factors);
        }
        self.factors.of(&self.normalise(states))
    }

    /// How the paths of a prompt share their start, where they are in one pass and nothing is dropped.
    pub fn shared_start(&self, group: i64) -> Option<SharedStart> {
        (self.fused && self.dropout == 0.0 && group > 1).then_some(SharedStart { group })
    }

    /// Whether as many rows of a prompt look at it in products of their own.
    pub fn looks_by_prompt(&self, rows: i64) -> bool {
        self.sublayers && self.dropout == 0.0 && rows >= WORTH_PRODUCTS
    }

    /// Whether layers are those of `prorl_kernels`.
    pub fn goes_in_chunks(&self) -> bool {
        self.chunked && self.factors != Factors::Bf16
    }

    /// Queries, or queries, keys and values, of states. // [N, out]
    pub fn factors_of_attention(&self, states: &Tensor, weights: &Weights) -> Tensor {
        if self.goes_in_chunks() {
            return layers::projection(states, weights, self.eps, self.factors);
        }
        self.projected(&self.factor(states), weights)
    }

    /// The same from either source: of many tokens, those of the vocabulary are looked up. // [N, out]
    pub fn factors_of(&self, source: &Source<'_>, weights: &Weights) -> Tensor {
        match source {
            Source::States(states) => self.factors_of_attention(states, weights),
            Source::Tokens { embedding, tokens } => {
                let rows = self.factors_of_attention(embedding, weights); // [V, out]
                if lookup::serves(&rows) {
                    return lookup::rows_of(&rows, tokens);
                }
                // Gradients of equal tokens are summed in the kind that is looked up.
                Tensor::embedding(&self.for_products(&rows), tokens, -1, false, false)
            }
        }
    }

    /// Whether fewer products are needed for the whole vocabulary than for some tokens, all alike where nothing is dropped.
    pub fn looks_up(&self, embedding: &Tensor, tokens: i64) -> bool {
        self.by_token && self.dropout == 0.0 && embedding.size()[0] < tokens
    }

    /// The same of a factor: `x W`. // [N, out]
    pub fn projected(&self, x: &Tensor, weights: &Weights) -> Tensor {
        if self.goes_in_chunks() {
            return layers::product(x, weights);
        }
        x.mm(weights.tensor())
    }

    /// Queries, keys and values as factors of libtorch's products. // as `x`
    pub fn for_products(&self, x: &Tensor) -> Tensor {
        self.factors.of(x).to_kind(self.attention)
    }

    /// How own attention is to read queries, keys and values: looked up, they are float32.
    pub fn kept(&self, x: &Tensor) -> Factors {
        if x.kind() == self.factors.kind() { self.factors } else { Factors::Rounded }
    }

    /// Dropout where there is any.
    pub fn dropped(&self, x: Tensor) -> Tensor {
        if dropout::serves(&x) { dropout::dropped(&x, self.dropout) } else { any_dropout(&x, self.dropout, true) }
    }

    /// `states + change`, with dropout of the change. // as `states`
    pub fn plus(&self, states: &Tensor, change: Tensor) -> Tensor {
        if (self.dropout > 0.0 || change.kind() != states.kind()) && dropout::serves(&change) {
            return dropout::plus_dropped(states, &change, self.dropout);
        }
        states + self.dropped(change)
    }

    /// `states + inner output`, of two factors. // [N, D]
    pub fn residual(&self, states: &Tensor, inner: &Tensor, output: &Weights) -> Tensor {
        if self.goes_in_chunks() {
            return layers::residual(states, inner, output, self.dropout);
        }
        if self.dropout == 0.0 && self.factors != Factors::Bf16 {
            return states.addmm(inner, output.tensor());
        }
        self.plus(states, inner.mm(output.tensor()))
    }

    /// The feed-forward sub-layer with its residual. // [N, D]
    pub fn feed_forward(&self, states: &Tensor, block: &FusedBlock) -> Tensor {
        let switches = Inner { epsilon: self.eps, factors: self.factors, dropout: self.dropout };
        if self.goes_in_chunks() {
            return layers::feed_forward(states, &block.wi, &block.wo, switches);
        }
        if self.sublayers {
            return sublayers::feed_forward(states, block.wi.tensor(), block.wo.tensor(), switches);
        }
        let inner = self.projected(&self.factor(states), &block.wi); // [N, d_ff]
        let in_place = self.dropout == 0.0 && self.factors != Factors::Rounded;
        // Dropout does not change signs, so it may come first.
        let inner = match !in_place && dropout::serves(&inner) {
            true => dropout::dropped_relu(&inner, self.dropout, self.factors),
            false => self.factors.of(&self.dropped(inner).relu_()),
        };
        self.residual(states, &inner, &block.wo)
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

    /// Whether it takes less to multiply a prompt's `keys` keys and values with the weights around them, once, than to
    /// multiply each of `tokens` states with these.
    pub fn absorbs(&self, keys: i64, tokens: i64) -> bool {
        let once = 2 * self.inner() * self.d_model * keys;
        let each = 2 * self.heads * keys * self.d_model;
        let plain = 2 * self.inner() * (self.d_model + keys);
        self.absorbing && once + tokens * each < tokens * plain
    }

    /// Whether it takes less to multiply each of a prompt's `tokens` states with its keys' and values' weights, too, than
    /// to make a prompt's `keys` keys and values.
    pub fn leaves_bare(&self, keys: i64, tokens: i64) -> bool {
        let bare = 2 * tokens * (self.inner() * self.d_model + keys * self.heads * self.d_model);
        let plain = 2 * self.inner() * (keys * self.d_model + tokens * keys);
        self.absorbing && bare < plain
    }

    /// Softmax of the scores plus bias in float32, as a factor. // as `scores`
    pub fn probabilities(&self, scores: Tensor, bias: Option<&Tensor>) -> Tensor {
        let mut scores = scores.to_kind(Kind::Float);
        if let Some(bias) = bias {
            scores += bias; // in place: a product's result is not needed backwards
        }
        self.dropped(scores.softmax(-1, None::<Kind>).to_kind(self.attention))
    }

    /// The same for `[B, .., T]`, in the scores' kind, where the bias is a mask of each prompt's keys, `[B, T]`. // as `scores`
    pub fn probabilities_among(&self, scores: Tensor, mask: Option<&Tensor>) -> Tensor {
        if softmax::serves(&scores) {
            return self.dropped(softmax::masked(&scores, mask));
        }
        let (kind, mask) = (scores.kind(), mask.map(|mask| mask.unsqueeze(1).unsqueeze(1))); // [B, 1, 1, T]
        self.probabilities(scores, mask.as_ref()).to_kind(kind)
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
