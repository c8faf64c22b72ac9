//! What a few queries find: keys and values are read where they lie, since laying them out takes longer than to look.

use super::sequence::Sequence;
use super::softmax::soften;
use crate::lanes::{LANES, dot, load, store};
use crate::matrices;
use crate::number::{Number, Rounded};
use crate::registers::Eight;
use crate::tiles::WIDE;
use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps};

/// The most queries that are few.
pub const FEW: usize = 4;

/// As [`super::forward::pass`], of a sequence in which nothing is dropped.
#[target_feature(enable = "avx2,fma")]
pub fn pass<N: Number>(sequence: &Sequence<'_, N>, scores: &mut Vec<f32>, found: &mut [N], normalisers: &mut [f32]) {
    let (heads, width) = (sequence.heads, sequence.width);
    // As many queries have them, so that paths are drawn from the probabilities that are differentiated.
    let rounds = matrices::serve::<N>(width);
    scores.resize(sequence.step(), 0.0);
    for query in 0..sequence.queries.count {
        let seen = sequence.seen(query);
        let scores = &mut scores[..seen.next_multiple_of(WIDE)];
        scores[seen..].fill(0.0);
        for head in 0..heads {
            let columns = head * width..(head + 1) * width;
            let mine = &sequence.queries.row(query)[columns.clone()];
            for (key, score) in scores[..seen].iter_mut().enumerate() {
                *score = dot(mine, &sequence.keys.row(key)[columns.clone()]);
            }
            let (most, total) = soften::<Eight>(scores, sequence.bias(head, query), seen);
            normalisers[(query * heads + head) * 2..][..2].copy_from_slice(&[most, 1.0 / total]);
            if rounds {
                for scores in scores.chunks_exact_mut(LANES) {
                    let rounded = load::<Rounded>(bytemuck::cast_slice(scores));
                    store(scores, rounded);
                }
            }
            let found = &mut found[query * heads * width..][columns];
            mix(sequence, &scores[..seen], 1.0 / total, head * width, found);
        }
    }
}

/// `scale Σ_k weights[k] v_k` of a head, whose columns begin at `first`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn mix<N: Number>(sequence: &Sequence<'_, N>, weights: &[f32], scale: f32, first: usize, found: &mut [N]) {
    for (tile, found) in found.chunks_exact_mut(WIDE).enumerate() {
        let column = first + tile * WIDE;
        let mut sums = [_mm256_setzero_ps(); 2];
        for (key, weight) in weights.iter().enumerate() {
            let (value, weight) = (&sequence.values.row(key)[column..][..WIDE], _mm256_set1_ps(*weight));
            sums[0] = _mm256_fmadd_ps(weight, load(value), sums[0]);
            sums[1] = _mm256_fmadd_ps(weight, load(&value[LANES..]), sums[1]);
        }
        for (sum, found) in sums.into_iter().zip(found.chunks_exact_mut(LANES)) {
            store(found, _mm256_mul_ps(sum, _mm256_set1_ps(scale)));
        }
    }
}
