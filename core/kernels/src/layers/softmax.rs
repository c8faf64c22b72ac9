//! Softmax of scores in panels, head by head.

use crate::lanes::{LANES, exponential, largest, load, store, sum};
use crate::tiles::WIDE;
use std::arch::x86_64::{
    _mm256_add_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps,
};
use std::ops::Range;

/// Where a row's numbers of a head are: every range within one panel.
fn places(rows: usize, row: usize, keys: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let panels = (0..keys / WIDE).map(move |panel| (panel * rows + row) * WIDE);
    panels.flat_map(|first| [first..first + LANES, first + LANES..first + WIDE])
}

/// In place of scores: softmax over a head's keys, with the mask of these added; it is minus infinity where no key is.
#[target_feature(enable = "avx2,fma")]
pub fn forward(scores: &mut [f32], rows: usize, mask: &[f32]) {
    for head in scores.chunks_exact_mut(rows * mask.len()) {
        for row in 0..rows {
            let places = places(rows, row, mask.len());
            let mut most = _mm256_set1_ps(f32::NEG_INFINITY);
            for (place, mask) in places.clone().zip(mask.chunks_exact(LANES)) {
                let score = _mm256_add_ps(load(&head[place.clone()]), load(mask));
                // Of two operands the second is taken where one is not a number, which shall be seen.
                most = _mm256_max_ps(most, score);
                store(&mut head[place], score);
            }
            let most = _mm256_set1_ps(largest(most));
            let mut total = _mm256_setzero_ps();
            for place in places.clone() {
                let weight = exponential(_mm256_sub_ps(load(&head[place.clone()]), most));
                total = _mm256_add_ps(total, weight);
                store(&mut head[place], weight);
            }
            let share = _mm256_set1_ps(1.0 / sum(total));
            for place in places {
                let weight = _mm256_mul_ps(load(&head[place.clone()]), share);
                store(&mut head[place], weight);
            }
        }
    }
}

/// In place of gradients g of the weights p: those of the scores, `p (g - Σ p g)`.
#[target_feature(enable = "avx2,fma")]
pub fn backward(weights: &[f32], rows: usize, keys: usize, gradients: &mut [f32]) {
    for (weights, gradients) in weights.chunks_exact(rows * keys).zip(gradients.chunks_exact_mut(rows * keys)) {
        for row in 0..rows {
            let places = places(rows, row, keys);
            let mut common = _mm256_setzero_ps();
            for place in places.clone() {
                common = _mm256_fmadd_ps(load(&weights[place.clone()]), load(&gradients[place]), common);
            }
            let common = _mm256_set1_ps(sum(common));
            for place in places {
                let change = _mm256_sub_ps(load(&gradients[place.clone()]), common);
                store(&mut gradients[place.clone()], _mm256_mul_ps(load(&weights[place]), change));
            }
        }
    }
}
