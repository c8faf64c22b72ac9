//! T5's relative position bias ("Exploring the Limits of Transfer Learning", arXiv 1910.10683, 2.1).

use tch::{Device, Tensor};

/// How distances fall into buckets.
#[derive(Clone, Copy)]
pub struct Buckets {
    pub count: i64,
    pub max_distance: i64,
    /// The encoder looks both ways and spends half its buckets on each; the decoder looks back only.
    pub both_ways: bool,
}

impl Buckets {
    /// Bucket of `distance = key - query`: exact near by, logarithmic further away.
    pub fn of(&self, distance: i64) -> i64 {
        let (count, offset, far) = if self.both_ways {
            (self.count / 2, if distance > 0 { self.count / 2 } else { 0 }, distance.abs())
        } else {
            (self.count, 0, (-distance).max(0))
        };
        let exact = count / 2;
        if far < exact {
            return offset + far;
        }
        let spread = (far as f32 / exact as f32).ln() / (self.max_distance as f32 / exact as f32).ln();
        offset + (exact + (spread * (count - exact) as f32) as i64).min(count - 1)
    }

    /// The bias of `keys` keys for `queries` queries, the first at position `start`; trainable through
    /// `table`. // [heads, queries, keys]
    pub fn bias(&self, table: &Tensor, start: i64, queries: i64, keys: i64) -> Tensor {
        let buckets: Vec<i64> = (start..start + queries).flat_map(|q| (0..keys).map(move |k| self.of(k - q))).collect();
        let buckets = Tensor::from_slice(&buckets).to(table.device());
        table.index_select(0, &buckets).tr().reshape([-1, queries, keys])
    }
}

/// 0 where a key is at or before its query, minus infinity after. // [1, time, time]
pub fn causal_mask(time: i64, device: Device) -> Tensor {
    Tensor::full([time, time], f64::NEG_INFINITY, (tch::Kind::Float, device)).triu(1).unsqueeze(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(buckets: Buckets, sign: i64) -> Vec<(i64, i64)> {
        let mut steps = Vec::new();
        for distance in 0..200 {
            let bucket = buckets.of(sign * distance);
            if steps.last().is_none_or(|&(_, last)| last != bucket) {
                steps.push((distance, bucket));
            }
        }
        steps
    }

    #[test]
    fn the_decoder_has_hugging_faces_buckets() {
        let decoder = Buckets { count: 32, max_distance: 128, both_ways: false };
        let far = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113];
        let expected: Vec<_> = (0..16).chain(far).zip(0..32).collect();
        assert_eq!(steps(decoder, -1), expected);
        assert!((0..200).all(|ahead| decoder.of(ahead) == 0));
    }

    #[test]
    fn the_encoder_has_hugging_faces_buckets() {
        let encoder = Buckets { count: 32, max_distance: 128, both_ways: true };
        let near: Vec<i64> = (0..8).chain([8, 12, 16, 23, 32, 46, 64, 91]).collect();
        let back: Vec<_> = near.iter().copied().zip(0..16).collect();
        assert_eq!(steps(encoder, -1), back);
        let ahead: Vec<_> = near.iter().copied().zip(16..32).skip(1).collect();
        assert_eq!(steps(encoder, 1)[1..], ahead);
    }
}
