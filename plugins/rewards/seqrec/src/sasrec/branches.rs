//! Paths that go on from one history, which is read once: what follows an item changes nothing before it.

use super::attention::causal_mask;
use tch::{Kind, Tensor};

/// Histories and what goes on from each, right-padded without gaps. In tensors with a row an item, the items of all histories
/// come first, `B * H`, then those of all paths, `B * G * P`: `N` rows.
pub struct Branches {
    prompts: i64,
    group: i64,
    history: i64,
    path: i64,
    /// Minus infinity where a history has no item, else 0. // [B, 1, 1, H]
    absent: Tensor,
    /// Items of every history. // [B]
    length: Tensor,
    /// Causal masks of a history and of a path. // [H, H], [P, P]
    causal: [Tensor; 2],
}

impl Branches {
    /// Of histories `[B, H]` and paths `[B, G, P]`.
    pub fn of(histories: &Tensor, paths: &Tensor) -> Self {
        let (path, there) = (paths.size(), histories.ne(0));
        let (history, device) = (there.size()[1], histories.device());
        let absent = Tensor::zeros(there.size(), (Kind::Float, device));
        Self {
            prompts: path[0],
            group: path[1],
            history,
            path: path[2],
            absent: absent.masked_fill(&there.logical_not(), f64::NEG_INFINITY).view([-1, 1, 1, history]),
            length: there.sum_dim_intlist(-1, false, Kind::Int64),
            causal: [history, path[2]].map(|width| causal_mask(width, device)),
        }
    }

    /// Where every row stands in its sequence, from 0. // [N]
    pub fn positions(&self) -> Tensor {
        let numbers = (Kind::Int64, self.length.device());
        let first = Tensor::arange(self.history, numbers).expand([self.prompts, self.history], false); // [B, H]
        let later = Tensor::arange(self.path, numbers) + self.length.view([-1, 1, 1]); // [B, 1, P]
        let later = later.expand([self.prompts, self.group, self.path], false); // [B, G, P]
        Tensor::cat(&[first.flatten(0, -1), later.flatten(0, -1)], 0)
    }

    /// Rows of histories, `[B, H, ..]`, and of paths, `[B, G * P, ..]`.
    pub fn apart(&self, rows: &Tensor) -> [Tensor; 2] {
        let of_histories = self.prompts * self.history;
        let apart = |first: i64, count: i64| rows.narrow(0, first, count).unflatten(0, [self.prompts, -1]);
        [apart(0, of_histories), apart(of_histories, rows.size()[0] - of_histories)]
    }

    /// What all rows read, each of its own history and path. Queries, scaled, keys and values are those of histories
    /// `[B, heads, H, d]`, then of paths `[B, heads, G * P, d]`. // [N, heads * d]
    pub fn read(&self, [queries, keys, values]: [[Tensor; 2]; 3]) -> Tensor {
        let of_histories = (queries[0].matmul(&keys[0].transpose(-2, -1)) + &self.causal[0]).softmax(-1, None); // [B, heads, H, H]
        let own = |paths: &Tensor| paths.unflatten(2, [self.group, self.path]); // [B, heads, G, P, d]
        let before = queries[1].matmul(&keys[0].transpose(-2, -1)) + &self.absent; // [B, heads, G * P, H]
        let within = own(&queries[1]).matmul(&own(&keys[1]).transpose(-2, -1)) + &self.causal[1]; // [B, heads, G, P, P]
        let weights = Tensor::cat(&[before, within.flatten(2, 3)], -1).softmax(-1, None); // [B, heads, G * P, H + P]
        let before = weights.narrow(-1, 0, self.history).matmul(&values[0]); // [B, heads, G * P, d]
        let within = own(&weights.narrow(-1, self.history, self.path)).matmul(&own(&values[1])); // [B, heads, G, P, d]
        let rows = |by_head: Tensor| by_head.transpose(1, 2).flatten(2, 3).flatten(0, 1); // [.., heads * d]
        Tensor::cat(&[rows(of_histories.matmul(&values[0])), rows(before + within.flatten(2, 3))], 0)
    }
}
