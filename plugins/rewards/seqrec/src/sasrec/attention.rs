//! Causal self-attention, post-norm: `LN(x + Dropout(W_o · concat_heads(Dropout(softmax(Q K^T / sqrt(d_h))) V)))`.

use super::branches::Branches;
use super::layers::{Fresh, LayerNorm, Linear};
use super::parameters::SasRecParameters;
use prorl_sdk::dropout::dropout;
use tch::{Device, Kind, Tensor};

/// Minus infinity where a key stands behind its query, else 0. // [T, T]
pub fn causal_mask(width: i64, device: Device) -> Tensor {
    Tensor::full([width, width], f64::NEG_INFINITY, (Kind::Float, device)).triu(1)
}

/// RecBole's `MultiHeadAttention`.
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    dense: Linear,
    norm: LayerNorm,
    heads: i64,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl Attention {
    /// Fresh weights.
    pub fn new(parameters: &SasRecParameters, fresh: Fresh) -> Self {
        let hidden = parameters.hidden;
        Self {
            query: Linear::new(hidden, hidden, fresh),
            key: Linear::new(hidden, hidden, fresh),
            value: Linear::new(hidden, hidden, fresh),
            dense: Linear::new(hidden, hidden, fresh),
            norm: LayerNorm::new(hidden, fresh),
            heads: parameters.heads,
            hidden_dropout: parameters.hidden_dropout,
            attention_dropout: parameters.attention_dropout,
        }
    }

    /// `input` is `[N, T, D]`; `mask` is added to the scores and broadcasts to `[N, heads, T, T]`. Where padding stands to
    /// the right of all items, the causal mask alone hides it from them. // [N, T, D]
    pub fn forward(&self, input: &Tensor, mask: &Tensor, training: bool) -> Tensor {
        let [query, key, value] = self.by_head(&self.project(input)); // [N, heads, T, D / heads]
        let scores = (query * self.scale()).matmul(&key.transpose(-2, -1)) + mask; // [N, heads, T, T]
        let weights = dropout(&scores.softmax(-1, None), self.attention_dropout, training); // [N, heads, T, T]
        let read = weights.matmul(&value).transpose(1, 2).flatten(2, 3); // [N, T, D]
        let change = dropout(&self.dense.forward(&read), self.hidden_dropout, training); // [N, T, D]
        self.norm.forward(&(change + input))
    }

    /// The same of histories and paths with a row an item, without dropout. // [N, D]
    pub fn forward_branches(&self, input: &Tensor, branches: &Branches) -> Tensor {
        let [histories, paths] = branches.apart(&self.project(input)).map(|joined| self.by_head(&joined));
        let [queries, keys, values] = histories;
        let [later_queries, later_keys, later_values] = paths;
        let queries = [queries, later_queries].map(|queries| queries * self.scale());
        let read = branches.read([queries, [keys, later_keys], [values, later_values]]); // [N, D]
        self.norm.forward(&(self.dense.forward(&read) + input))
    }

    fn scale(&self) -> f64 {
        (self.heads as f64 / self.query.bias.size()[0] as f64).sqrt()
    }

    /// Queries, keys and values side by side, by one product. // [.., 3 D]
    fn project(&self, input: &Tensor) -> Tensor {
        let parts = [&self.query, &self.key, &self.value];
        let weight = Tensor::cat(&parts.map(|part| &part.weight), 0); // [3 D, D]
        let bias = Tensor::cat(&parts.map(|part| &part.bias), 0); // [3 D]
        input.linear(&weight, Some(&bias))
    }

    /// Queries, keys and values, of `[N, T, 3 D]`. // 3 x [N, heads, T, D / heads]
    fn by_head(&self, joined: &Tensor) -> [Tensor; 3] {
        let all = joined.unflatten(-1, [3, self.heads, -1]).permute([2, 0, 3, 1, 4]); // [3, N, heads, T, D / heads]
        [all.get(0), all.get(1), all.get(2)]
    }

    /// Weights by RecBole's names, below `name`.
    pub fn named(&self, name: &str) -> Vec<(String, Tensor)> {
        let parts = [("query", &self.query), ("key", &self.key), ("value", &self.value), ("dense", &self.dense)];
        let linear = parts.map(|(part, layer)| layer.named(&format!("{name}.{part}")));
        let norm = self.norm.named(&format!("{name}.LayerNorm"));
        linear.into_iter().flatten().chain(norm).collect()
    }
}
