//! Small products in registers: tiles of 6 × 16 results, which fill 12 of the 16 registers of AVX2.

use crate::lanes::{LANES, load, store};
use crate::number::Number;
use std::arch::x86_64::{_mm256_add_ps, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps};

/// Rows of a tile.
pub const HIGH: usize = 6;
/// Columns of a tile.
pub const WIDE: usize = 2 * LANES;

/// Some columns of rows that are `step` numbers apart: those from `column` on.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    pub numbers: &'a [f32],
    pub step: usize,
    pub column: usize,
}

/// Six rows of a product, `into[r] = scale[r] Σ_k left[r][k] · right[k]` for `count` factors and the columns of a tile; the
/// rows of `into` are `stride` apart, and the first `high` are written.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn rows_times<N: Number>(
    left: &[&[f32]; HIGH],
    count: usize,
    right: Columns<'_>,
    scale: &[f32; HIGH],
    high: usize,
    into: &mut [N],
    stride: usize,
) {
    let [a, b, c, d, e, f] = *left;
    // With lengths that the compiler sees, the loop asks for no bounds.
    let (a, b, c, d, e, f) = (&a[..count], &b[..count], &c[..count], &d[..count], &e[..count], &f[..count]);
    let numbers = &right.numbers[right.column..];
    let mut tile = [[_mm256_setzero_ps(); 2]; HIGH];
    for k in 0..count {
        let right = &numbers[k * right.step..][..WIDE];
        let (first, second) = (load(right), load(&right[LANES..]));
        for (sums, factor) in tile.iter_mut().zip([a[k], b[k], c[k], d[k], e[k], f[k]]) {
            let factor = _mm256_set1_ps(factor);
            sums[0] = _mm256_fmadd_ps(factor, first, sums[0]);
            sums[1] = _mm256_fmadd_ps(factor, second, sums[1]);
        }
    }
    for (row, [first, second]) in tile.into_iter().enumerate() {
        if row < high {
            let (into, scale) = (&mut into[row * stride..][..WIDE], _mm256_set1_ps(scale[row]));
            store(into, _mm256_mul_ps(first, scale));
            store(&mut into[LANES..], _mm256_mul_ps(second, scale));
        }
    }
}

/// Six columns of `left` times the columns of `right`, `into[r] += Σ_k left[k][r] · right[k]` for `count` rows of both.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn add_columns_times(left: Columns<'_>, right: Columns<'_>, count: usize, into: &mut [f32], stride: usize) {
    let (lefts, rights) = (&left.numbers[left.column..], &right.numbers[right.column..]);
    let mut tile = [[_mm256_setzero_ps(); 2]; HIGH];
    for k in 0..count {
        let (left, right) = (&lefts[k * left.step..][..HIGH], &rights[k * right.step..][..WIDE]);
        let (first, second) = (load(right), load(&right[LANES..]));
        for (sums, factor) in tile.iter_mut().zip(left) {
            let factor = _mm256_set1_ps(*factor);
            sums[0] = _mm256_fmadd_ps(factor, first, sums[0]);
            sums[1] = _mm256_fmadd_ps(factor, second, sums[1]);
        }
    }
    for (row, [first, second]) in tile.into_iter().enumerate() {
        let into = &mut into[row * stride..][..WIDE];
        store(into, _mm256_add_ps(load(into), first));
        let into = &mut into[LANES..];
        store(into, _mm256_add_ps(load(into), second));
    }
}
