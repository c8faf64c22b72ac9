//! Sixteen numbers at a time, as `lanes` has eight.
//!
//! All functions here, and those that call them, are compiled for AVX-512; whoever goes from code that is not to these has
//! asked [`registers_of_sixteen`](crate::registers::registers_of_sixteen), or has [`Matrices`](crate::matrices::Matrices).

use crate::lanes::{LN_2, SERIES};
use crate::number::{Form, Number};
use std::arch::x86_64::{
    __m512, _CMP_GT_OQ, _CMP_UNORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16,
    _mm512_cvtepu16_epi32, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_mask_mov_ps, _mm512_mask_or_epi32,
    _mm512_maskz_mov_ps, _mm512_maskz_scalef_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_sub_ps, _mm512_unpackhi_ps,
    _mm512_unpacklo_ps,
};

/// Numbers in a register.
pub const LANES: usize = 16;

/// A register.
pub type Lanes = __m512;

/// The next sixteen numbers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn load<N: Number>(numbers: &[N]) -> Lanes {
    let mut lanes = [N::zeroed(); LANES];
    lanes.copy_from_slice(&numbers[..LANES]);
    match N::FORM {
        Form::Float32 => bytemuck::cast(lanes),
        Form::Bf16 => _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bytemuck::cast(lanes)))),
        Form::Rounded => as_bf16(bytemuck::cast(lanes)),
    }
}

/// Writes the next sixteen numbers, as [`lanes::store`](crate::lanes::store).
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn store<N: Number>(numbers: &mut [N], lanes: Lanes) {
    let lanes: [N; LANES] = match N::FORM {
        Form::Float32 => bytemuck::cast(lanes),
        Form::Bf16 => {
            let halves = _mm512_srli_epi32::<16>(_mm512_castps_si512(as_bf16(lanes)));
            bytemuck::cast(_mm512_cvtepi32_epi16(halves))
        }
        Form::Rounded => bytemuck::cast(as_bf16(lanes)),
    };
    numbers[..LANES].copy_from_slice(&lanes);
}

/// The nearest numbers of bf16.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
fn as_bf16(lanes: Lanes) -> Lanes {
    let bits = _mm512_castps_si512(lanes);
    let last = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff)));
    // What is no number must not round to one.
    let no_number = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(lanes, lanes);
    let chosen = _mm512_mask_or_epi32(rounded, no_number, bits, _mm512_set1_epi32(0x40_0000));
    _mm512_castsi512_ps(_mm512_and_si512(chosen, _mm512_set1_epi32(!0xffff)))
}

/// Sum of the lanes.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn sum(lanes: Lanes) -> f32 {
    _mm512_reduce_add_ps(lanes)
}

/// Largest of the lanes.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn largest(lanes: Lanes) -> f32 {
    _mm512_reduce_max_ps(lanes)
}

/// `Σ left · right`.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn dot<L: Number, R: Number>(left: &[L], right: &[R]) -> f32 {
    let mut sums = _mm512_setzero_ps();
    for (left, right) in left.chunks_exact(LANES).zip(right.chunks_exact(LANES)) {
        sums = _mm512_fmadd_ps(load(left), load(right), sums);
    }
    sum(sums)
}

/// A number in every lane.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn all(number: f32) -> Lanes {
    _mm512_set1_ps(number)
}

/// `a + b`.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn add(a: Lanes, b: Lanes) -> Lanes {
    _mm512_add_ps(a, b)
}

/// `a - b`.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn subtract(a: Lanes, b: Lanes) -> Lanes {
    _mm512_sub_ps(a, b)
}

/// `a b`.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn multiply(a: Lanes, b: Lanes) -> Lanes {
    _mm512_mul_ps(a, b)
}

/// `a b + c`, rounded once.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    _mm512_fmadd_ps(a, b, c)
}

/// The larger of each two; the second where one is not a number.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn larger(a: Lanes, b: Lanes) -> Lanes {
    _mm512_max_ps(a, b)
}

/// Numbers where others are above 0, and 0 elsewhere.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn where_positive(others: Lanes, numbers: Lanes) -> Lanes {
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(others, _mm512_setzero_ps()), numbers)
}

/// The first lanes, so many or all, and minus infinity in the others.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn first(count: usize, lanes: Lanes) -> Lanes {
    let kept = if count < LANES { (1 << count) - 1 } else { !0 };
    _mm512_mask_mov_ps(all(f32::NEG_INFINITY), kept, lanes)
}

/// As [`lanes::exponential`](crate::lanes::exponential).
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn exponential(x: __m512) -> __m512 {
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

/// Sixteen rows of sixteen numbers, turned.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn transposed(rows: [__m512; LANES]) -> [__m512; LANES] {
    // Of four rows each: number by number, then pair by pair, so that each has columns 4 q + c of its rows, q from 0 to 3.
    let mut fours = [[_mm512_setzero_ps(); 4]; 4];
    for (fours, rows) in fours.iter_mut().zip(rows.chunks_exact(4)) {
        let (low, high) = (_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[0], rows[1]));
        let (next_low, next_high) = (_mm512_unpacklo_ps(rows[2], rows[3]), _mm512_unpackhi_ps(rows[2], rows[3]));
        *fours = [
            _mm512_shuffle_ps::<0x44>(low, next_low),
            _mm512_shuffle_ps::<0xee>(low, next_low),
            _mm512_shuffle_ps::<0x44>(high, next_high),
            _mm512_shuffle_ps::<0xee>(high, next_high),
        ];
    }
    let mut turned = [_mm512_setzero_ps(); LANES];
    for column in 0..4 {
        let [a, b, c, d] = [fours[0][column], fours[1][column], fours[2][column], fours[3][column]];
        let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
        let (next_even, next_odd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
        turned[column] = _mm512_shuffle_f32x4::<0x88>(even, next_even);
        turned[4 + column] = _mm512_shuffle_f32x4::<0x88>(odd, next_odd);
        turned[8 + column] = _mm512_shuffle_f32x4::<0xdd>(even, next_even);
        turned[12 + column] = _mm512_shuffle_f32x4::<0xdd>(odd, next_odd);
    }
    turned
}
