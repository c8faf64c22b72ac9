//! Sixteen numbers at a time, as `lanes` has eight.
//!
//! All functions here, in `tiles::sixteen` and in `attention::softmax::sixteen` are compiled for AVX-512; those who call
//! them have asked [`registers_of_sixteen`](crate::tiles::registers_of_sixteen).

use crate::lanes::{self, LANES, LN_2, SERIES};
use crate::number::{Form, Number};
use std::arch::x86_64::{
    __m512, _CMP_GT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_castpd_ps, _mm512_add_ps,
    _mm512_castps_pd, _mm512_castps512_ps256, _mm512_cmp_ps_mask, _mm512_extractf64x4_pd, _mm512_fmadd_ps,
    _mm512_fnmadd_ps, _mm512_maskz_scalef_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};

/// Numbers in a register.
const WIDE: usize = 2 * LANES;

/// The next sixteen numbers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn load(numbers: &[f32]) -> __m512 {
    let mut lanes = [0.0; WIDE];
    lanes.copy_from_slice(&numbers[..WIDE]);
    bytemuck::cast(lanes)
}

/// Writes the next sixteen.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn store(numbers: &mut [f32], lanes: __m512) {
    numbers[..WIDE].copy_from_slice(&bytemuck::cast::<_, [f32; WIDE]>(lanes));
}

/// The same for any kind of numbers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn put<N: Number>(numbers: &mut [N], lanes: __m512) {
    if let Form::Float32 = N::FORM {
        return store(bytemuck::cast_slice_mut(numbers), lanes);
    }
    lanes::store(numbers, _mm512_castps512_ps256(lanes));
    let second = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes));
    lanes::store(&mut numbers[LANES..], _mm256_castpd_ps(second));
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
pub fn transposed(rows: [__m512; WIDE]) -> [__m512; WIDE] {
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
    let mut turned = [_mm512_setzero_ps(); WIDE];
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

/// Adds numbers to as many others, whole vectors.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f")]
pub fn add_to(sums: &mut [f32], numbers: &[f32]) {
    for (sums, numbers) in sums.chunks_exact_mut(WIDE).zip(numbers.chunks_exact(WIDE)) {
        store(sums, _mm512_add_ps(load(sums), load(numbers)));
    }
}
