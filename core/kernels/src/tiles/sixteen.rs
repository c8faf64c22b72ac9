//! The same products in registers of AVX-512, two tiles at a time as long as there are two: six sums alone would wait for
//! one another.

use super::{Columns, HIGH, Onto, WIDE};
use crate::number::Number;
use crate::sixteen::{load, store};
use std::arch::x86_64::{_mm512_add_ps, _mm512_fmadd_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps};

/// As [`tiles::rows_times`](super::rows_times).
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
                store(into, _mm512_mul_ps(sum, scale));
            }
        }
    }
}

/// As [`tiles::columns_times`](super::columns_times).
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
