//! Eight numbers at a time.
//!
//! All functions here, in `tiles`, and what is called from them are compiled for AVX2 and FMA; [`crate::serves`] asks the
//! processor first.

use crate::number::{Form, Number};
use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_UNORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_add_epi32, _mm256_add_ps,
    _mm256_and_ps, _mm256_and_si256, _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepu16_epi32, _mm256_cvtps_epi32, _mm256_cvtss_f32,
    _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_or_si256,
    _mm256_packus_epi32, _mm256_permute2f128_ps, _mm256_permute4x64_epi64, _mm256_round_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_sub_ps,
    _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

/// Numbers in a register.
pub const LANES: usize = 8;

/// A register.
pub type Lanes = __m256;

/// The next `LANES` numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn load<N: Number>(numbers: &[N]) -> __m256 {
    let mut lanes = [N::zeroed(); LANES];
    lanes.copy_from_slice(&numbers[..LANES]);
    match N::FORM {
        Form::Float32 => bytemuck::cast(lanes),
        Form::Bf16 => _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bytemuck::cast(lanes)))),
        Form::Rounded => as_bf16(bytemuck::cast(lanes)),
    }
}

/// Writes the next `LANES` numbers, the nearest of their kind; of two as near, the one whose last bit is 0.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn store<N: Number>(numbers: &mut [N], lanes: __m256) {
    let lanes: [N; LANES] = match N::FORM {
        Form::Float32 => bytemuck::cast(lanes),
        Form::Bf16 => {
            let halves = _mm256_srli_epi32::<16>(_mm256_castps_si256(as_bf16(lanes)));
            let packed = _mm256_packus_epi32(halves, halves); // each half twice
            bytemuck::cast(_mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(packed)))
        }
        Form::Rounded => bytemuck::cast(as_bf16(lanes)),
    };
    numbers[..LANES].copy_from_slice(&lanes);
}

/// The nearest numbers of bf16.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn as_bf16(lanes: __m256) -> __m256 {
    let bits = _mm256_castps_si256(lanes);
    let last = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff)));
    // What is no number must not round to one.
    let quiet = _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000)));
    let no_number = _mm256_cmp_ps::<_CMP_UNORD_Q>(lanes, lanes);
    let chosen = _mm256_blendv_ps(_mm256_castsi256_ps(rounded), quiet, no_number);
    _mm256_and_ps(chosen, _mm256_castsi256_ps(_mm256_set1_epi32(!0xffff)))
}

/// Sum of the lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn sum(lanes: __m256) -> f32 {
    let halves = _mm256_add_ps(lanes, _mm256_permute2f128_ps::<1>(lanes, lanes));
    let quarters = _mm256_add_ps(halves, _mm256_shuffle_ps::<0x4e>(halves, halves));
    _mm256_cvtss_f32(_mm256_add_ps(quarters, _mm256_shuffle_ps::<0xb1>(quarters, quarters)))
}

/// Largest of the lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn largest(lanes: __m256) -> f32 {
    let halves = _mm256_max_ps(lanes, _mm256_permute2f128_ps::<1>(lanes, lanes));
    let quarters = _mm256_max_ps(halves, _mm256_shuffle_ps::<0x4e>(halves, halves));
    _mm256_cvtss_f32(_mm256_max_ps(quarters, _mm256_shuffle_ps::<0xb1>(quarters, quarters)))
}

/// Eight rows of eight numbers, turned.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn transposed(rows: [__m256; LANES]) -> [__m256; LANES] {
    let [a, b, c, d, e, f, g, h] = rows;
    let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    let (ef, ef_high) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
    let (gh, gh_high) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
    let upper = [
        _mm256_shuffle_ps::<0x44>(ab, cd),
        _mm256_shuffle_ps::<0xee>(ab, cd),
        _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
        _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
    ];
    let lower = [
        _mm256_shuffle_ps::<0x44>(ef, gh),
        _mm256_shuffle_ps::<0xee>(ef, gh),
        _mm256_shuffle_ps::<0x44>(ef_high, gh_high),
        _mm256_shuffle_ps::<0xee>(ef_high, gh_high),
    ];
    [
        _mm256_permute2f128_ps::<0x20>(upper[0], lower[0]),
        _mm256_permute2f128_ps::<0x20>(upper[1], lower[1]),
        _mm256_permute2f128_ps::<0x20>(upper[2], lower[2]),
        _mm256_permute2f128_ps::<0x20>(upper[3], lower[3]),
        _mm256_permute2f128_ps::<0x31>(upper[0], lower[0]),
        _mm256_permute2f128_ps::<0x31>(upper[1], lower[1]),
        _mm256_permute2f128_ps::<0x31>(upper[2], lower[2]),
        _mm256_permute2f128_ps::<0x31>(upper[3], lower[3]),
    ]
}

/// ln 2 in two parts, so that what is left of a number less a multiple of the first is exact.
pub const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// exp(rest) by its series, which ends within float32: factors of the seventh power to the zeroth.
pub const SERIES: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

/// `exp(x)` of numbers at most 0, to a unit or two in the last place; 0 below -87.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn exponential(x: __m256) -> __m256 {
    // x = n ln 2 + rest.
    let seen = _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_set1_ps(-87.0));
    let x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-87.0)), _mm256_setzero_ps());
    let n = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm256_mul_ps(
        x,
        _mm256_set1_ps(std::f32::consts::LOG2_E),
    ));
    let rest = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN_2[0]), x);
    let rest = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN_2[1]), rest);
    let mut series = _mm256_set1_ps(SERIES[0]);
    for reciprocal in &SERIES[1..] {
        series = _mm256_fmadd_ps(series, rest, _mm256_set1_ps(*reciprocal));
    }
    let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
    _mm256_and_ps(_mm256_mul_ps(series, _mm256_castsi256_ps(power)), seen)
}

/// `Σ left · right`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn dot<L: Number, R: Number>(left: &[L], right: &[R]) -> f32 {
    let mut sums = _mm256_setzero_ps();
    for (left, right) in left.chunks_exact(LANES).zip(right.chunks_exact(LANES)) {
        sums = _mm256_fmadd_ps(load(left), load(right), sums);
    }
    sum(sums)
}

/// A number in every lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn all(number: f32) -> Lanes {
    _mm256_set1_ps(number)
}

/// `a + b`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn add(a: Lanes, b: Lanes) -> Lanes {
    _mm256_add_ps(a, b)
}

/// `a - b`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn subtract(a: Lanes, b: Lanes) -> Lanes {
    _mm256_sub_ps(a, b)
}

/// `a b`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn multiply(a: Lanes, b: Lanes) -> Lanes {
    _mm256_mul_ps(a, b)
}

/// `a b + c`, rounded once.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    _mm256_fmadd_ps(a, b, c)
}

/// The larger of each two; the second where one is not a number.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn larger(a: Lanes, b: Lanes) -> Lanes {
    _mm256_max_ps(a, b)
}

/// Numbers where others are above 0, and 0 elsewhere.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn where_positive(others: Lanes, numbers: Lanes) -> Lanes {
    _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(others, _mm256_setzero_ps()), numbers)
}

/// The first lanes, so many or all, and minus infinity in the others.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn first(count: usize, lanes: Lanes) -> Lanes {
    let places = bytemuck::cast([0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let kept = _mm256_cmp_ps::<_CMP_GT_OQ>(all(count.min(LANES) as f32), places);
    _mm256_blendv_ps(all(f32::NEG_INFINITY), lanes, kept)
}
