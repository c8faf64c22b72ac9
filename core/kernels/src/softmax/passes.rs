//! The passes, in rows shared out among libtorch's threads.
#![allow(unsafe_code)]

use crate::floats::{numbers_of, numbers_of_new};
use crate::lanes::{LANES, exponential, largest, load, store, sum};
use crate::number::Number;
use crate::threads::{run, share};
use half::bf16;
use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_sub_ps,
};
use tch::{Kind, Tensor};

/// Softmax of `scores` `[B, .., T]` plus `mask` `[B, T]`.
pub fn forward(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    if scores.kind() == Kind::Float { forward_as::<f32>(scores, mask) } else { forward_as::<bf16>(scores, mask) }
}

fn forward_as<N: Number>(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let mut result = scores.empty_like();
    let size = scores.size();
    let (batch, width) = (size[0] as usize, size[size.len() - 1] as usize);
    let numbers = numbers_of::<N>(scores);
    if numbers.is_empty() {
        return result;
    }
    let masks = padded(mask.map(numbers_of::<f32>), batch, width);
    let (of_one, rows) = (numbers.len() / batch / width, share(numbers.len(), width));
    let parts = numbers.chunks(rows * width).zip(numbers_of_new::<N>(&mut result).chunks_mut(rows * width));
    run(parts.enumerate().collect(), |(part, (scores, result))| {
        let mut room = vec![0.0; width.next_multiple_of(LANES)];
        for (row, (scores, result)) in
            (part * rows..).zip(scores.chunks_exact(width).zip(result.chunks_exact_mut(width)))
        {
            let mask = &masks[row / of_one * room.len()..][..room.len()];
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            unsafe { soften(scores, mask, &mut room, result) }
        }
    });
    result
}

/// A mask of every element of the batch, minus infinity up to a multiple of eight columns.
pub fn padded(mask: Option<&[f32]>, batch: usize, width: usize) -> Vec<f32> {
    let mut padded = Vec::with_capacity(batch * width.next_multiple_of(LANES));
    for element in 0..batch {
        match mask {
            Some(mask) => padded.extend_from_slice(&mask[element * width..][..width]),
            None => padded.resize(padded.len() + width, 0.0),
        }
        padded.resize((element + 1) * width.next_multiple_of(LANES), f32::NEG_INFINITY);
    }
    padded
}

/// Softmax of a row of scores plus its mask, which is minus infinity up to a multiple of eight columns, as is the room.
#[target_feature(enable = "avx2,fma")]
pub fn soften<N: Number>(scores: &[N], mask: &[f32], room: &mut [f32], result: &mut [N]) {
    let mut most = _mm256_set1_ps(f32::NEG_INFINITY);
    for ((at, room), mask) in (0..).step_by(LANES).zip(room.chunks_exact_mut(LANES)).zip(mask.chunks_exact(LANES)) {
        let score = _mm256_add_ps(eight(scores, at), load(mask));
        // Of two operands the second is taken where one is not a number, which shall be seen.
        most = _mm256_max_ps(most, score);
        store(room, score);
    }
    let (most, mut total) = (_mm256_set1_ps(largest(most)), _mm256_setzero_ps());
    for room in room.chunks_exact_mut(LANES) {
        let weight = exponential(_mm256_sub_ps(load(room), most));
        total = _mm256_add_ps(total, weight);
        store(room, weight);
    }
    let share = _mm256_set1_ps(1.0 / sum(total));
    for (at, room) in (0..).step_by(LANES).zip(room.chunks_exact(LANES)) {
        put_eight(result, at, _mm256_mul_ps(load(room), share));
    }
}

/// From gradients g of the weights p: those of the scores, `p (g - Σ p g)`. // as `weights`
pub fn backward(weights: &Tensor, of_weights: &Tensor) -> Tensor {
    match weights.kind() {
        Kind::Float => backward_as::<f32>(weights, of_weights),
        _ => backward_as::<bf16>(weights, of_weights),
    }
}

fn backward_as<N: Number>(weights: &Tensor, of_weights: &Tensor) -> Tensor {
    let mut result = weights.empty_like();
    let (width, numbers) = (weights.size().last().map_or(1, |width| *width as usize), numbers_of::<N>(weights));
    let rows = share(numbers.len(), width.max(1));
    let parts = numbers.chunks(rows * width.max(1)).zip(numbers_of::<N>(of_weights).chunks(rows * width.max(1)));
    let parts = parts.zip(numbers_of_new::<N>(&mut result).chunks_mut(rows * width.max(1)));
    run(parts.collect(), |((weights, of_weights), result)| {
        let rows = weights.chunks_exact(width).zip(of_weights.chunks_exact(width));
        for ((weights, of_weights), result) in rows.zip(result.chunks_exact_mut(width)) {
            // SAFETY: as above.
            unsafe { harden(weights, of_weights, result) }
        }
    });
    result
}

/// A row of gradients of scores, from weights and their gradients.
#[target_feature(enable = "avx2,fma")]
pub fn harden<N: Number>(weights: &[N], of_weights: &[N], result: &mut [N]) {
    let mut common = _mm256_setzero_ps();
    for at in (0..weights.len()).step_by(LANES) {
        common = _mm256_fmadd_ps(eight(weights, at), eight(of_weights, at), common);
    }
    let common = _mm256_set1_ps(sum(common));
    for at in (0..weights.len()).step_by(LANES) {
        let change = _mm256_sub_ps(eight(of_weights, at), common);
        put_eight(result, at, _mm256_mul_ps(eight(weights, at), change));
    }
}

/// Eight numbers from a place on; 0 past the end.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn eight<N: Number>(numbers: &[N], at: usize) -> __m256 {
    let numbers = &numbers[at..];
    if numbers.len() >= LANES {
        return load(numbers);
    }
    let mut last = [N::zeroed(); LANES];
    last[..numbers.len()].copy_from_slice(numbers);
    load(&last)
}

/// Writes as many of eight numbers as there are places.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn put_eight<N: Number>(numbers: &mut [N], at: usize, lanes: __m256) {
    let numbers = &mut numbers[at..];
    if numbers.len() >= LANES {
        return store(numbers, lanes);
    }
    let mut last = [N::zeroed(); LANES];
    store(&mut last, lanes);
    let count = numbers.len();
    numbers.copy_from_slice(&last[..count]);
}
