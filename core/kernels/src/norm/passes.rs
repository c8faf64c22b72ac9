//! The passes, in rows shared out among libtorch's threads.
#![allow(unsafe_code)]

use crate::floats::{Rows, numbers_of_new};
use crate::lanes::{LANES, dot, load, store};
use crate::threads::run;
use std::arch::x86_64::{_mm256_fnmadd_ps, _mm256_mul_ps, _mm256_set1_ps};
use tch::Tensor;

/// Numbers that are worth a thread.
const WORTH_A_THREAD: usize = 32_768;

/// Rows of a part where libtorch's threads share `numbers` numbers in rows of `width`.
fn share(numbers: usize, width: usize) -> usize {
    let parts = (tch::get_num_threads().max(1) as usize).min(numbers / WORTH_A_THREAD).max(1);
    (numbers / width).div_ceil(parts).max(1)
}

/// Rows over their root mean square into `normal`, and one over that into `scales` `[N, 1]`. // [N, D]
pub fn forward(x: &Tensor, epsilon: f32, normal: &mut Tensor, scales: &mut Tensor) {
    let x = Rows::of(x);
    let rows = share(x.numbers().len(), x.width());
    let parts = x.numbers().chunks(rows * x.width()).zip(numbers_of_new(normal).chunks_mut(rows * x.width()));
    let parts = parts.zip(numbers_of_new(scales).chunks_mut(rows)).collect();
    run(parts, |((x_part, normal), scales)| {
        // SAFETY: the processor has AVX2 and FMA, as `serves` found.
        unsafe { normalise(x_part, x.width(), epsilon, normal, scales) }
    });
}

/// Every row over its root mean square, and one over that.
#[target_feature(enable = "avx2,fma")]
fn normalise(x: &[f32], width: usize, epsilon: f32, normal: &mut [f32], scales: &mut [f32]) {
    for ((x, normal), scale) in x.chunks_exact(width).zip(normal.chunks_exact_mut(width)).zip(scales) {
        *scale = 1.0 / (dot(x, x) / width as f32 + epsilon).sqrt();
        let factor = _mm256_set1_ps(*scale);
        for (x, normal) in x.chunks_exact(LANES).zip(normal.chunks_exact_mut(LANES)) {
            store(normal, _mm256_mul_ps(load(x), factor));
        }
    }
}

/// With n = x s: `∂x = s (g - n mean(g n))`. // [N, D]
pub fn backward(normal: &Tensor, scales: &Tensor, of_normal: &Tensor) -> Tensor {
    let mut of_x = normal.empty_like();
    let (normal, scales, of_normal) = (Rows::of(normal), Rows::of(scales), Rows::of(of_normal));
    let width = normal.width();
    let rows = share(normal.numbers().len(), width);
    let parts = normal.numbers().chunks(rows * width).zip(of_normal.numbers().chunks(rows * width));
    let parts = parts.zip(scales.numbers().chunks(rows)).zip(numbers_of_new(&mut of_x).chunks_mut(rows * width));
    run(parts.collect(), |(((normal, of_normal), scales), of_x)| {
        // SAFETY: as above.
        unsafe { of_rows(normal, of_normal, scales, width, of_x) }
    });
    of_x
}

#[target_feature(enable = "avx2,fma")]
fn of_rows(normal: &[f32], of_normal: &[f32], scales: &[f32], width: usize, of_x: &mut [f32]) {
    let rows = normal.chunks_exact(width).zip(of_normal.chunks_exact(width)).zip(of_x.chunks_exact_mut(width));
    for (((normal, of_normal), of_x), scale) in rows.zip(scales) {
        let (common, scale) = (_mm256_set1_ps(dot(normal, of_normal) / width as f32), _mm256_set1_ps(*scale));
        let lanes = normal.chunks_exact(LANES).zip(of_normal.chunks_exact(LANES)).zip(of_x.chunks_exact_mut(LANES));
        for ((normal, of_normal), of_x) in lanes {
            store(of_x, _mm256_mul_ps(scale, _mm256_fnmadd_ps(common, load(normal), load(of_normal))));
        }
    }
}
