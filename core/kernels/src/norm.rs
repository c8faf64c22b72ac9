//! Rows over their root mean square, in one pass each way.
//!
//! libtorch's way with single functions, square, mean, root and product, writes each to memory, and six more backwards.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use crate::{
    floats::{Rows, numbers_of_new},
    lanes::{LANES, dot, load, store},
    node::attach,
    threads::run,
};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_mm256_fnmadd_ps, _mm256_mul_ps, _mm256_set1_ps};
use tch::{Device, Kind, Tensor};

/// Whether such rows are served: float32 on a processor with AVX2 and FMA, of a multiple of 8 numbers.
pub fn serves(device: Device, kind: Kind, width: i64) -> bool {
    device == Device::Cpu && kind == Kind::Float && width % 8 == 0 && crate::processor_serves()
}

/// `x / sqrt(mean(x²) + epsilon)` of every row (Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv
/// 1910.07467, equation 4, without gain), differentiable. // [N, D] to [N, D]
///
/// # Panics
/// The shape is another, or [`serves`] says no.
#[cfg(target_arch = "x86_64")]
pub fn root_mean_square(x: &Tensor, epsilon: f64) -> Tensor {
    let size = x.size();
    assert!(size.len() == 2 && serves(x.device(), x.kind(), size[1]), "`serves` says no to {x:?}");
    let rows = x.detach().contiguous();
    let (mut normal, mut scales) = (rows.empty_like(), Tensor::empty([size[0], 1], (Kind::Float, Device::Cpu)));
    forward(&rows, epsilon as f32, &mut normal, &mut scales);
    let kept = normal.detach();
    attach(&normal, &[x], move |of_normal| vec![Some(backward(&kept, &scales, &of_normal.contiguous()))]);
    normal
}

/// As where the processor serves.
#[cfg(not(target_arch = "x86_64"))]
pub fn root_mean_square(_: &Tensor, _: f64) -> Tensor {
    panic!("`serves` says no on this processor");
}

/// Numbers that are worth a thread.
#[cfg(target_arch = "x86_64")]
const WORTH_A_THREAD: usize = 32_768;

/// Rows of a part where libtorch's threads share `numbers` numbers in rows of `width`.
#[cfg(target_arch = "x86_64")]
fn share(numbers: usize, width: usize) -> usize {
    let parts = (tch::get_num_threads().max(1) as usize).min(numbers / WORTH_A_THREAD).max(1);
    (numbers / width).div_ceil(parts).max(1)
}

#[cfg(target_arch = "x86_64")]
fn forward(x: &Tensor, epsilon: f32, normal: &mut Tensor, scales: &mut Tensor) {
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
#[cfg(target_arch = "x86_64")]
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

/// With n = x s: `∂x = s (g - n mean(g n))`.
#[cfg(target_arch = "x86_64")]
fn backward(normal: &Tensor, scales: &Tensor, of_normal: &Tensor) -> Tensor {
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

#[cfg(target_arch = "x86_64")]
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
