//! Small products in registers: tiles of 6 × 16 results, which fill 12 of the 16 registers of AVX2.

use crate::lanes::{LANES, load, store};
use crate::number::Number;
use std::arch::x86_64::{__m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps};

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
    add_tile(tile, into, stride);
}

/// Where a matrix's numbers are.
#[derive(Clone, Copy)]
pub struct Layout {
    /// How far apart its rows are.
    pub row: usize,
    /// Columns whose numbers follow one another.
    together: usize,
    /// How far apart groups of such columns are.
    group: usize,
}

impl Layout {
    /// Row after row.
    pub fn rows(width: usize) -> Self {
        Self { row: width, together: width, group: width }
    }

    /// In panels of as many columns as a tile is wide, one after the other, each with all rows.
    pub fn panels(rows: usize) -> Self {
        Self { row: WIDE, together: WIDE, group: rows * WIDE }
    }

    /// The place of a tile of the first rows by its number from the left.
    pub fn tile(self, number: usize) -> usize {
        let column = number * WIDE;
        column / self.together * self.group + column % self.together
    }
}

/// A tile of sums.
pub type Tile = [[__m256; 2]; HIGH];

/// Rows of `left` from `first` on times a panel of `[rows, WIDE]`. Of a last tile that has but `high` rows, the last one
/// stands for those that are not there.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn product(left: &[f32], layout: Layout, first: usize, high: usize, panel: &[f32]) -> Tile {
    let Layout { row, together, group } = layout;
    // Closures that array functions call are not compiled for AVX2, and would break the loop into calls.
    let piece = |row_number: usize, group_number: usize| {
        &left[(first + row_number.min(high - 1)) * row + group_number * group..][..together]
    };
    let mut tile = [[_mm256_setzero_ps(); 2]; HIGH];
    for (number, right) in panel.chunks_exact(together * WIDE).enumerate() {
        let (a, b, c) = (piece(0, number), piece(1, number), piece(2, number));
        let (d, e, f) = (piece(3, number), piece(4, number), piece(5, number));
        let left = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f);
        for ((((((a, b), c), d), e), f), right) in left.zip(right.chunks_exact(WIDE)) {
            let (first, second) = (load(right), load(&right[LANES..]));
            for (sums, factor) in tile.iter_mut().zip([a, b, c, d, e, f]) {
                let factor = _mm256_set1_ps(*factor);
                sums[0] = _mm256_fmadd_ps(factor, first, sums[0]);
                sums[1] = _mm256_fmadd_ps(factor, second, sums[1]);
            }
        }
    }
    tile
}

/// Adds a panel `[rows, H]`, turned, times a panel `[rows, WIDE]` to rows of `into`, `stride` apart.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn add_panels_product<const H: usize>(left: &[f32], right: &[f32], into: &mut [f32], stride: usize) {
    let mut tile = [[_mm256_setzero_ps(); 2]; H];
    for (left, right) in left.chunks_exact(H).zip(right.chunks_exact(WIDE)) {
        let (first, second) = (load(right), load(&right[LANES..]));
        for (sums, factor) in tile.iter_mut().zip(left) {
            let factor = _mm256_set1_ps(*factor);
            sums[0] = _mm256_fmadd_ps(factor, first, sums[0]);
            sums[1] = _mm256_fmadd_ps(factor, second, sums[1]);
        }
    }
    add_tile(tile, into, stride);
}

/// Adds a tile to rows of `into`, `stride` apart.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_tile<const H: usize>(tile: [[__m256; 2]; H], into: &mut [f32], stride: usize) {
    for (row, [first, second]) in tile.into_iter().enumerate() {
        let into = &mut into[row * stride..][..WIDE];
        store(into, _mm256_add_ps(load(into), first));
        let into = &mut into[LANES..];
        store(into, _mm256_add_ps(load(into), second));
    }
}
