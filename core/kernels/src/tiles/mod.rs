//! Small products in registers: tiles of 6 × 16 results, which fill 12 of the 16 registers of AVX2. With AVX-512 two tiles
//! are summed together ([`sixteen`]), to the same last bit.
#![allow(unsafe_code)]

mod sixteen;

use crate::lanes::{LANES, load, store};
use crate::number::Number;
use crate::registers::Registers;
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

/// Six rows of a product, `into[r][c] = scale[r] Σ_k left[r][k] · right[k][c]` for `count` factors and `across` columns, whole
/// tiles; the rows of `into` are `stride` apart, and the first `high` are written.
#[inline]
#[target_feature(enable = "avx2,fma")]
#[allow(clippy::too_many_arguments)]
pub fn rows_times<N: Number, R: Registers>(
    left: &[&[f32]; HIGH],
    count: usize,
    right: Columns<'_>,
    across: usize,
    scale: &[f32; HIGH],
    high: usize,
    into: &mut [N],
    stride: usize,
) {
    if R::SIXTEEN {
        // SAFETY: the processor has AVX-512, or its registers would not have been named.
        return unsafe { sixteen::rows_times(left, count, right, across, scale, high, into, stride) };
    }
    let [a, b, c, d, e, f] = *left;
    // With lengths that the compiler sees, the loop asks for no bounds.
    let (a, b, c, d, e, f) = (&a[..count], &b[..count], &c[..count], &d[..count], &e[..count], &f[..count]);
    for column in (0..across).step_by(WIDE) {
        let numbers = &right.numbers[right.column + column..];
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
        put_tile(tile, scale, high, &mut into[column..], stride);
    }
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

/// What becomes of what lies where sums are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    /// They are added to it.
    Sums,
    /// They take its place.
    Anything,
}

/// Six columns of `left` times the columns of `right`, `Σ_k left[k][r] · right[k][c]` for `count` rows of both and `across`
/// columns, whole tiles, onto `into[r][c]`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn columns_times<R: Registers>(
    left: Columns<'_>,
    right: Columns<'_>,
    count: usize,
    across: usize,
    onto: Onto,
    into: &mut [f32],
    stride: usize,
) {
    if R::SIXTEEN {
        // SAFETY: as above.
        return unsafe { sixteen::columns_times(left, right, count, across, onto, into, stride) };
    }
    let lefts = &left.numbers[left.column..];
    for column in (0..across).step_by(WIDE) {
        let rights = &right.numbers[right.column + column..];
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
        lay_tile(tile, onto, &mut into[column..], stride);
    }
}

/// Writes a tile to rows of `into`, `stride` apart.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn lay_tile(tile: Tile, onto: Onto, into: &mut [f32], stride: usize) {
    match onto {
        Onto::Sums => add_tile(tile, into, stride),
        Onto::Anything => put_tile(tile, &[1.0; HIGH], HIGH, into, stride),
    }
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
    use crate::registers::{Eight, Sixteen, registers_of_sixteen};

    /// Two tiles that are summed together, and one that is left.
    const ACROSS: usize = 3 * WIDE;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 37 + seed * 101) % 97) as f32 / 7.0 - 6.5).collect()
    }

    fn plain(left: impl Fn(usize, usize) -> f32, right: &[f32], step: usize, count: usize) -> Vec<f32> {
        let sum = |row, column| (0..count).fold(0.0, |sum, k| left(row, k).mul_add(right[k * step + column], sum));
        (0..HIGH)
            .flat_map(|row| (0..ACROSS).map(move |column| (row, column)))
            .map(|(row, column)| sum(row, column))
            .collect()
    }

    fn sums_agree<R: Registers>() {
        let (count, step) = (41, ACROSS + 7);
        let (lefts, right) = (numbers(HIGH * count, 1), numbers(count * step, 2));
        let rows: [&[f32]; HIGH] = std::array::from_fn(|row| &lefts[row * count..][..count]);
        let columns = |numbers, step| Columns { numbers, step, column: 0 };
        let (mut by_rows, mut by_columns, mut added) =
            ([7.0; HIGH * ACROSS], [7.0; HIGH * ACROSS], [7.0; HIGH * ACROSS]);
        // SAFETY: the processor has AVX2 and FMA, and these registers, as was asked.
        unsafe {
            rows_times::<f32, R>(&rows, count, columns(&right, step), ACROSS, &[1.0; HIGH], HIGH, &mut by_rows, ACROSS);
            columns_times::<R>(
                columns(&lefts, HIGH),
                columns(&right, step),
                count,
                ACROSS,
                Onto::Anything,
                &mut by_columns,
                ACROSS,
            );
            columns_times::<R>(
                columns(&lefts, HIGH),
                columns(&right, step),
                count,
                ACROSS,
                Onto::Sums,
                &mut added,
                ACROSS,
            );
        }
        assert_eq!(by_rows.as_slice(), plain(|row, k| lefts[row * count + k], &right, step, count));
        let columns = plain(|row, k| lefts[k * HIGH + row], &right, step, count);
        assert_eq!(by_columns.as_slice(), columns);
        assert_eq!(added.as_slice(), columns.iter().map(|sum| 7.0 + sum).collect::<Vec<_>>());
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
