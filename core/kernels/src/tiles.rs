//! Small products in registers: tiles of 6 × 16 results, which fill 12 of the 16 registers of AVX2, or 6 of those of
//! AVX-512. Sums are the same to the last bit.
#![allow(unsafe_code)]

use crate::lanes::{LANES, load, store};
use crate::number::Number;
use std::arch::x86_64::{
    __m256, __m512, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps256_ps512, _mm512_castps512_ps256,
    _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_insertf64x4, _mm512_set1_ps, _mm512_setzero_ps,
};

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

/// Which registers tiles are summed in.
pub trait Registers {
    /// Whether these are AVX-512's.
    const SIXTEEN: bool;
}

/// Those of eight numbers.
pub struct Eight;

impl Registers for Eight {
    const SIXTEEN: bool = false;
}

/// Those of sixteen numbers. Named by callers alone that [`registers_of_sixteen`] has said yes to.
pub struct Sixteen;

impl Registers for Sixteen {
    const SIXTEEN: bool = true;
}

/// Whether the processor has registers of sixteen numbers.
pub fn registers_of_sixteen() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// Six rows of a product, `into[r] = scale[r] Σ_k left[r][k] · right[k]` for `count` factors and the columns of a tile; the
/// rows of `into` are `stride` apart, and the first `high` are written.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn rows_times<N: Number, R: Registers>(
    left: &[&[f32]; HIGH],
    count: usize,
    right: Columns<'_>,
    scale: &[f32; HIGH],
    high: usize,
    into: &mut [N],
    stride: usize,
) {
    let numbers = &right.numbers[right.column..];
    if R::SIXTEEN {
        // SAFETY: the processor has AVX-512, or its registers would not have been named.
        return unsafe { rows_by_sixteen(left, count, numbers, right.step, scale, high, into, stride) };
    }
    let [a, b, c, d, e, f] = *left;
    // With lengths that the compiler sees, the loop asks for no bounds.
    let (a, b, c, d, e, f) = (&a[..count], &b[..count], &c[..count], &d[..count], &e[..count], &f[..count]);
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
    put_tile(tile, scale, high, into, stride);
}

/// Writes the first rows of a tile, scaled.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn put_tile<N: Number>(tile: Tile, scale: &[f32; HIGH], high: usize, into: &mut [N], stride: usize) {
    for (row, [first, second]) in tile.into_iter().enumerate() {
        if row < high {
            let (into, scale) = (&mut into[row * stride..][..WIDE], _mm256_set1_ps(scale[row]));
            store(into, _mm256_mul_ps(first, scale));
            store(&mut into[LANES..], _mm256_mul_ps(second, scale));
        }
    }
}

#[allow(clippy::too_many_arguments)]
#[target_feature(enable = "avx2,fma,avx512f")]
fn rows_by_sixteen<N: Number>(
    left: &[&[f32]; HIGH],
    count: usize,
    right: &[f32],
    step: usize,
    scale: &[f32; HIGH],
    high: usize,
    into: &mut [N],
    stride: usize,
) {
    let [a, b, c, d, e, f] = *left;
    let (a, b, c, d, e, f) = (&a[..count], &b[..count], &c[..count], &d[..count], &e[..count], &f[..count]);
    let mut tile = [_mm512_setzero_ps(); HIGH];
    for k in 0..count {
        let right = sixteen(&right[k * step..][..WIDE]);
        for (sums, factor) in tile.iter_mut().zip([a[k], b[k], c[k], d[k], e[k], f[k]]) {
            *sums = _mm512_fmadd_ps(_mm512_set1_ps(factor), right, *sums);
        }
    }
    put_tile(halves(tile), scale, high, into, stride);
}

/// Six columns of `left` times the columns of `right`, `into[r] += Σ_k left[k][r] · right[k]` for `count` rows of both.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn add_columns_times<R: Registers>(
    left: Columns<'_>,
    right: Columns<'_>,
    count: usize,
    into: &mut [f32],
    stride: usize,
) {
    let (lefts, rights) = (&left.numbers[left.column..], &right.numbers[right.column..]);
    if R::SIXTEEN {
        // SAFETY: as above.
        return unsafe { columns_by_sixteen([lefts, rights], [left.step, right.step], count, into, stride) };
    }
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

#[target_feature(enable = "avx2,fma,avx512f")]
fn columns_by_sixteen(
    [lefts, rights]: [&[f32]; 2],
    [left, right]: [usize; 2],
    count: usize,
    into: &mut [f32],
    stride: usize,
) {
    let mut tile = [_mm512_setzero_ps(); HIGH];
    for k in 0..count {
        let (left, right) = (&lefts[k * left..][..HIGH], sixteen(&rights[k * right..][..WIDE]));
        for (sums, factor) in tile.iter_mut().zip(left) {
            *sums = _mm512_fmadd_ps(_mm512_set1_ps(*factor), right, *sums);
        }
    }
    add_tile(halves(tile), into, stride);
}

/// A row of a tile.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn sixteen(numbers: &[f32]) -> __m512 {
    let (first, second) = (load(numbers), load(&numbers[LANES..]));
    let first = _mm512_castps_pd(_mm512_castps256_ps512(first));
    _mm512_castpd_ps(_mm512_insertf64x4::<1>(first, _mm256_castps_pd(second)))
}

/// A tile in registers of half the width.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn halves(tile: [__m512; HIGH]) -> Tile {
    let mut halves = [[_mm256_setzero_ps(); 2]; HIGH];
    for (halves, row) in halves.iter_mut().zip(tile) {
        let second = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(row));
        *halves = [_mm512_castps512_ps256(row), _mm256_castpd_ps(second)];
    }
    halves
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

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 37 + seed * 101) % 97) as f32 / 7.0 - 6.5).collect()
    }

    fn plain(left: impl Fn(usize, usize) -> f32, right: &[f32], step: usize, count: usize) -> Vec<f32> {
        let sum = |row, column| (0..count).fold(0.0, |sum, k| left(row, k).mul_add(right[k * step + column], sum));
        (0..HIGH)
            .flat_map(|row| (0..WIDE).map(move |column| (row, column)))
            .map(|(row, column)| sum(row, column))
            .collect()
    }

    fn sums_agree<R: Registers>() {
        let (count, step) = (41, 23);
        let (lefts, right) = (numbers(HIGH * count, 1), numbers(count * step, 2));
        let rows: [&[f32]; HIGH] = std::array::from_fn(|row| &lefts[row * count..][..count]);
        let columns = |numbers, step| Columns { numbers, step, column: 0 };
        let (mut by_rows, mut by_columns) = (vec![0.0; HIGH * WIDE], vec![0.0; HIGH * WIDE]);
        // SAFETY: the processor has AVX2 and FMA, and these registers, as was asked.
        unsafe {
            rows_times::<f32, R>(&rows, count, columns(&right, step), &[1.0; HIGH], HIGH, &mut by_rows, WIDE);
            add_columns_times::<R>(columns(&lefts, HIGH), columns(&right, step), count, &mut by_columns, WIDE);
        }
        assert_eq!(by_rows, plain(|row, k| lefts[row * count + k], &right, step, count));
        assert_eq!(by_columns, plain(|row, k| lefts[k * HIGH + row], &right, step, count));
    }

    #[test]
    fn tiles_are_the_plain_sums_to_the_last_bit() {
        if !crate::processor_serves() {
            eprintln!("skipped: this processor has no AVX2");
            return;
        }
        sums_agree::<Eight>();
        if registers_of_sixteen() {
            sums_agree::<Sixteen>();
        } else {
            eprintln!("not tried in registers of sixteen numbers, which this processor has not");
        }
    }
}
