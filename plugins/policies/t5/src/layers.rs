//! Pieces of which encoder and decoder are built (Raffel et al., 2020; Hugging Face's arithmetic).

use crate::weights::FeedForwardWeights;
use prorl_sdk::prelude::*;

/// Numbers that all layers share.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Attention heads, `h`.
    pub heads: i64,
    /// Width of a head, `k`.
    pub d_kv: i64,
    /// Added to the mean square in norms.
    pub epsilon: f64,
    /// Share of activations dropped; 0 outside training.
    pub dropout: f64,
    /// Buckets of relative positions.
    pub buckets: i64,
    /// Distance from which all positions share a bucket.
    pub max_distance: i64,
}

impl Shape {
    /// Drops activations in training.
    pub fn drop(&self, x: Tensor) -> Tensor {
        if self.dropout > 0.0 { x.dropout(self.dropout, true) } else { x }
    }

    /// Root-mean-square norm: no mean is taken off, nothing added. // [..., D]
    pub fn norm(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        let scale = (x.square().mean_dim(-1, true, Kind::Float) + self.epsilon).rsqrt(); // [..., 1]
        x * scale * weight
    }

    /// Feed-forward sub-layer with its residual. // [..., D]
    pub fn feed_forward(&self, x: &Tensor, weights: &FeedForwardWeights) -> Tensor {
        let inner = self.norm(x, &weights.norm).linear::<Tensor>(&weights.wi, None).relu_();
        x + self.drop(self.drop(inner).linear::<Tensor>(&weights.wo, None))
    }

    /// Bias of every pair of positions. // [h, queries, keys]
    ///
    /// `queries` are the positions of queries, keys stand at `0..keys`.
    pub fn bias(&self, table: &Tensor, queries: std::ops::Range<i64>, keys: i64, causal: bool) -> Tensor {
        let rows = queries.end - queries.start;
        let buckets: Vec<i64> = queries
            .flat_map(|query| (0..keys).map(move |key| (query, key)))
            .map(|(query, key)| bucket(key - query, causal, self.buckets, self.max_distance))
            .collect();
        let buckets = Tensor::from_slice(&buckets).to_device(table.device());
        table.index_select(0, &buckets).view([rows, keys, self.heads]).permute([2, 0, 1])
    }

    /// Attention of queries to keys, scores without any scale. // [N, h, Q, k]
    ///
    /// `bias` is added to the scores `[N, h, Q, K]`; it may need a gradient.
    pub fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, bias: Option<&Tensor>) -> Tensor {
        if self.dropout == 0.0 && !bias.is_some_and(Tensor::requires_grad) {
            return Tensor::scaled_dot_product_attention(q, k, v, bias, 0.0, false, 1.0, false);
        }
        let scores = q.matmul(&k.transpose(-2, -1)); // [N, h, Q, K]
        let scores = match bias {
            Some(bias) => scores + bias,
            None => scores,
        };
        self.drop(scores.softmax(-1, Kind::Float)).matmul(v)
    }
}

/// Bucket of a relative position `key - query`, as T5 numbers them.
pub fn bucket(relative: i64, causal: bool, buckets: i64, max_distance: i64) -> i64 {
    let (first, buckets, distance) = if causal {
        (0, buckets, (-relative).max(0))
    } else {
        let half = buckets / 2;
        (if relative > 0 { half } else { 0 }, half, relative.abs())
    };
    let exact = buckets / 2;
    if distance < exact {
        return first + distance;
    }
    // In float32 like Hugging Face, whose numbers these are.
    let grown = ((distance as f32 / exact as f32).ln() / (max_distance as f32 / exact as f32).ln()
        * (buckets - exact) as f32) as i64;
    first + (exact + grown).min(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_are_exact_near_and_logarithmic_far() {
        let decoder = |distance: i64| bucket(-distance, true, 32, 128);
        let expected = [(0, 0), (15, 15), (16, 16), (18, 16), (19, 17), (40, 23), (112, 30), (113, 31), (500, 31)];
        for (distance, wanted) in expected {
            assert_eq!(decoder(distance), wanted, "{distance}");
        }
        assert_eq!(bucket(3, true, 32, 128), 0);
        let encoder = |relative: i64| bucket(relative, false, 32, 128);
        let expected = [(0, 0), (-7, 7), (7, 23), (-8, 8), (-12, 9), (-64, 14), (-91, 15), (91, 31)];
        for (relative, wanted) in expected {
            assert_eq!(encoder(relative), wanted, "{relative}");
        }
    }
}
