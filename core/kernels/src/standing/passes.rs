//! The pass, in rows shared out among libtorch's threads.
#![allow(unsafe_code)]

use crate::floats::{numbers_of, numbers_of_new};
use crate::lanes::{LANES, exponential, largest, load, sum};
use crate::threads::{run, share};
use std::arch::x86_64::{
    _CMP_GT_OQ, _CMP_UNORD_Q, _mm256_add_ps, _mm256_and_ps, _mm256_cmp_ps, _mm256_max_ps, _mm256_movemask_ps,
    _mm256_or_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps,
};
use tch::{Device, Kind, Tensor};

/// The logarithm of every row's sum of exponentials, and how many numbers are greater than its own. // [R, 1], [R, 1]
pub fn total_and_greater(scores: &Tensor, own: &Tensor) -> (Tensor, Tensor) {
    let (rows, width) = (scores.size()[0], scores.size()[1] as usize);
    let mut totals = Tensor::empty([rows, 1], (Kind::Float, Device::Cpu));
    let mut greater = totals.empty_like();
    if width == 0 {
        return (totals.fill_(f64::NEG_INFINITY), greater.zero_());
    }
    let scores = numbers_of::<f32>(scores);
    let rows = share(scores.len(), width);
    let parts = scores.chunks(rows * width).zip(numbers_of::<f32>(own).chunks(rows));
    let parts = parts.zip(numbers_of_new(&mut totals).chunks_mut(rows));
    run(parts.zip(numbers_of_new(&mut greater).chunks_mut(rows)).collect(), |(((scores, own), totals), greater)| {
        for (((scores, own), total), greater) in scores.chunks_exact(width).zip(own).zip(totals).zip(greater) {
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            (*total, *greater) = unsafe { of_row(scores, *own) };
        }
    });
    (totals, greater)
}

#[target_feature(enable = "avx2,fma")]
fn of_row(scores: &[f32], own: f32) -> (f32, f32) {
    let whole = scores.chunks_exact(LANES);
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..whole.remainder().len()].copy_from_slice(whole.remainder());
    let eights = whole.chain(std::iter::once(&last[..]));

    let (own, ones, mut greater) = (_mm256_set1_ps(own), _mm256_set1_ps(1.0), _mm256_setzero_ps());
    let (mut most, mut no_number) = (_mm256_set1_ps(f32::NEG_INFINITY), _mm256_setzero_ps());
    for scores in eights.clone() {
        let scores = load(scores);
        greater = _mm256_add_ps(greater, _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(scores, own), ones));
        most = _mm256_max_ps(most, scores);
        no_number = _mm256_or_ps(no_number, _mm256_cmp_ps::<_CMP_UNORD_Q>(scores, scores));
    }
    let (most, greater) = (largest(most), sum(greater));
    if _mm256_movemask_ps(no_number) != 0 || most == f32::INFINITY {
        return (f32::NAN, greater);
    }
    if most == f32::NEG_INFINITY {
        return (most, greater);
    }
    let (from, mut total) = (_mm256_set1_ps(most), _mm256_setzero_ps());
    for scores in eights {
        total = _mm256_add_ps(total, exponential(_mm256_sub_ps(load(scores), from)));
    }
    (most + sum(total).ln(), greater)
}
