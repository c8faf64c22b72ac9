//! Sixteen numbers at a time: what AVX-512 makes faster of attention.
//!
//! All functions here are compiled for AVX-512; those who call them have asked
//! [`registers_of_sixteen`](crate::tiles::registers_of_sixteen).

use crate::attention::softmax::Row;
use crate::lanes::{self, LANES, LN_2, SERIES};
use crate::number::{Form, Number};
use crate::tiles::{Columns, HIGH, Onto, WIDE};
use std::arch::x86_64::{
    __m512, __mmask16, _CMP_GT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_castpd_ps, _mm512_add_ps,
    _mm512_castps_pd, _mm512_castps512_ps256, _mm512_cmp_ps_mask, _mm512_extractf64x4_pd, _mm512_fmadd_ps,
    _mm512_fnmadd_ps, _mm512_mask_mov_ps, _mm512_maskz_scalef_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_sub_ps,
};

/// As [`tiles::rows_times`](crate::tiles::rows_times). Two tiles at a time as long as there are two: six sums alone would
/// wait for one another.
#[allow(clippy::too_many_arguments)]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn rows_times<N: Number>(
    left: &[&[f32]; HIGH],
    count: usize,
    right: Columns<'_>,
    across: usize,
    scale: &[f32; HIGH],
    high: usize,
    into: &mut [N],
    stride: usize,
) {
    let numbers = &right.numbers[right.column..];
    let pairs = across / (2 * WIDE) * 2 * WIDE;
    for column in (0..pairs).step_by(2 * WIDE) {
        let into = (&mut into[column..], stride);
        rows_tiles::<N, 2>(left, count, (&numbers[column..], right.step), scale, high, into);
    }
    if pairs < across {
        rows_tiles::<N, 1>(left, count, (&numbers[pairs..], right.step), scale, high, (&mut into[pairs..], stride));
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn rows_tiles<N: Number, const TILES: usize>(
    left: &[&[f32]; HIGH],
    count: usize,
    (right, step): (&[f32], usize),
    scale: &[f32; HIGH],
    high: usize,
    (into, stride): (&mut [N], usize),
) {
    let [a, b, c, d, e, f] = *left;
    let (a, b, c, d, e, f) = (&a[..count], &b[..count], &c[..count], &d[..count], &e[..count], &f[..count]);
    let mut tiles = [[_mm512_setzero_ps(); TILES]; HIGH];
    for k in 0..count {
        let right = &right[k * step..][..TILES * WIDE];
        for (sums, factor) in tiles.iter_mut().zip([a[k], b[k], c[k], d[k], e[k], f[k]]) {
            for (sum, right) in sums.iter_mut().zip(right.chunks_exact(WIDE)) {
                *sum = _mm512_fmadd_ps(_mm512_set1_ps(factor), load(right), *sum);
            }
        }
    }
    for (row, sums) in tiles.into_iter().enumerate() {
        if row < high {
            let (into, scale) = (&mut into[row * stride..][..TILES * WIDE], _mm512_set1_ps(scale[row]));
            for (into, sum) in into.chunks_exact_mut(WIDE).zip(sums) {
                put(into, _mm512_mul_ps(sum, scale));
            }
        }
    }
}

/// As [`tiles::columns_times`](crate::tiles::columns_times).
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn columns_times(
    left: Columns<'_>,
    right: Columns<'_>,
    count: usize,
    across: usize,
    onto: Onto,
    into: &mut [f32],
    stride: usize,
) {
    let pairs = across / (2 * WIDE) * 2 * WIDE;
    for column in (0..pairs).step_by(2 * WIDE) {
        let right = Columns { column: right.column + column, ..right };
        columns_tiles::<2>(left, right, count, onto, &mut into[column..], stride);
    }
    if pairs < across {
        let right = Columns { column: right.column + pairs, ..right };
        columns_tiles::<1>(left, right, count, onto, &mut into[pairs..], stride);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn columns_tiles<const TILES: usize>(
    left: Columns<'_>,
    right: Columns<'_>,
    count: usize,
    onto: Onto,
    into: &mut [f32],
    stride: usize,
) {
    let (lefts, rights) = (&left.numbers[left.column..], &right.numbers[right.column..]);
    let mut tiles = [[_mm512_setzero_ps(); TILES]; HIGH];
    for k in 0..count {
        let (left, right) = (&lefts[k * left.step..][..HIGH], &rights[k * right.step..][..TILES * WIDE]);
        for (sums, factor) in tiles.iter_mut().zip(left) {
            for (sum, right) in sums.iter_mut().zip(right.chunks_exact(WIDE)) {
                *sum = _mm512_fmadd_ps(_mm512_set1_ps(*factor), load(right), *sum);
            }
        }
    }
    for (row, sums) in tiles.into_iter().enumerate() {
        for (into, sum) in into[row * stride..][..TILES * WIDE].chunks_exact_mut(WIDE).zip(sums) {
            match onto {
                Onto::Sums => store(into, _mm512_add_ps(load(into), sum)),
                Onto::Anything => store(into, sum),
            }
        }
    }
}

/// The next sixteen numbers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn load(numbers: &[f32]) -> __m512 {
    let mut lanes = [0.0; WIDE];
    lanes.copy_from_slice(&numbers[..WIDE]);
    bytemuck::cast(lanes)
}

/// Writes the next sixteen.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn store(numbers: &mut [f32], lanes: __m512) {
    numbers[..WIDE].copy_from_slice(&bytemuck::cast::<_, [f32; WIDE]>(lanes));
}

/// The same for any kind of numbers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn put<N: Number>(numbers: &mut [N], lanes: __m512) {
    if let Form::Float32 = N::FORM {
        return store(bytemuck::cast_slice_mut(numbers), lanes);
    }
    lanes::store(numbers, _mm512_castps512_ps256(lanes));
    let second = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes));
    lanes::store(&mut numbers[LANES..], _mm256_castpd_ps(second));
}

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

/// As [`lanes::exponential`](crate::lanes::exponential).
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn exponential(x: __m512) -> __m512 {
    let seen = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_set1_ps(-87.0));
    let x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.0)), _mm512_setzero_ps());
    let n = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm512_mul_ps(
        x,
        _mm512_set1_ps(std::f32::consts::LOG2_E),
    ));
    let rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2[0]), x);
    let rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2[1]), rest);
    let mut series = _mm512_set1_ps(SERIES[0]);
    for reciprocal in &SERIES[1..] {
        series = _mm512_fmadd_ps(series, rest, _mm512_set1_ps(*reciprocal));
    }
    _mm512_maskz_scalef_ps(seen, series, n)
}

/// As [`soften`](crate::attention::softmax::soften).
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn soften(scores: &mut [f32], bias: Option<&[f32]>, seen: usize) -> (f32, f32) {
    let (scores, unseen) = scores.split_at_mut(seen.next_multiple_of(WIDE).min(scores.len()));
    unseen.fill(0.0);
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

/// As [`harden`](crate::attention::softmax::harden).
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn harden(row: &Row<'_>, weights: &mut [f32], of_scores: &mut [f32]) {
    let (weights, unseen) = weights.split_at_mut(row.seen.next_multiple_of(WIDE).min(weights.len()));
    unseen.fill(0.0);
    let (of_scores, unseen) = of_scores.split_at_mut(weights.len());
    unseen.fill(0.0);
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
