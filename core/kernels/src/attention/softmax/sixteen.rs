//! The same, sixteen numbers at a time.

use super::Row;
use crate::sixteen::{exponential, load, store};
use crate::tiles::WIDE;
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_mask_mov_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_reduce_max_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_sub_ps,
};

/// The scores of a row's keys from `place` on, with bias, minus infinity where unseen.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn biased(scores: &[f32], bias: Option<&[f32]>, place: usize, seen: usize) -> __m512 {
    let mut biased = load(&scores[place..]);
    if let Some(bias) = bias {
        biased = _mm512_add_ps(biased, load(&bias[place..]));
    }
    let sees: __mmask16 = if seen - place < WIDE { (1 << (seen - place)) - 1 } else { !0 };
    _mm512_mask_mov_ps(_mm512_set1_ps(f32::NEG_INFINITY), sees, biased)
}

/// As [`soften`](super::soften).
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn soften(scores: &mut [f32], bias: Option<&[f32]>, seen: usize) -> (f32, f32) {
    let (scores, unseen) = scores.split_at_mut(seen.next_multiple_of(WIDE).min(scores.len()));
    clear(unseen);
    let mut most = _mm512_set1_ps(f32::NEG_INFINITY);
    for place in (0..scores.len()).step_by(WIDE) {
        let score = biased(scores, bias, place, seen);
        most = _mm512_max_ps(most, score);
        store(&mut scores[place..], score);
    }
    let most = _mm512_reduce_max_ps(most);
    let mut total = _mm512_setzero_ps();
    for scores in scores.chunks_exact_mut(WIDE) {
        let weight = exponential(_mm512_sub_ps(load(scores), _mm512_set1_ps(most)));
        total = _mm512_add_ps(total, weight);
        store(scores, weight);
    }
    (most, _mm512_reduce_add_ps(total))
}

/// As [`harden`](super::harden).
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn harden(row: &Row<'_>, weights: &mut [f32], of_scores: &mut [f32]) {
    let (weights, unseen) = weights.split_at_mut(row.seen.next_multiple_of(WIDE).min(weights.len()));
    clear(unseen);
    let (of_scores, unseen) = of_scores.split_at_mut(weights.len());
    clear(unseen);
    let (most, scale, common) = (_mm512_set1_ps(row.most), _mm512_set1_ps(row.scale), _mm512_set1_ps(row.common));
    for place in (0..weights.len()).step_by(WIDE) {
        let score = biased(weights, row.bias, place, row.seen);
        let weight = _mm512_mul_ps(exponential(_mm512_sub_ps(score, most)), scale);
        let (mut kept, mut of_weight) = (weight, load(&of_scores[place..]));
        if let Some(factors) = row.factors {
            let factors = load(&factors[place..]);
            (kept, of_weight) = (_mm512_mul_ps(kept, factors), _mm512_mul_ps(of_weight, factors));
        }
        store(&mut weights[place..], kept);
        store(&mut of_scores[place..], _mm512_mul_ps(weight, _mm512_sub_ps(of_weight, common)));
    }
}

/// Zeros. Most often there is nothing to clear, and no call is made.
#[inline]
fn clear(unseen: &mut [f32]) {
    if !unseen.is_empty() {
        unseen.fill(0.0);
    }
}
