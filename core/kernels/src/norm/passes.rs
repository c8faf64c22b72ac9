//! The passes, in rows shared out among libtorch's threads.
#![allow(unsafe_code)]

use crate::factors::Factors;
use crate::floats::{numbers_of, numbers_of_new};
use crate::number::{Number, with_numbers};
use crate::registers::in_registers;
use crate::threads::{run, share};
use tch::{Device, Kind, Tensor};

/// Rows over their root mean square, as factors `[N, D]`, and one over that `[N]`.
pub fn forward(x: &Tensor, epsilon: f32, factors: Factors) -> (Tensor, Tensor) {
    with_numbers!(factors, N => forward_as::<N>(x, epsilon))
}

fn forward_as<N: Number>(x: &Tensor, epsilon: f32) -> (Tensor, Tensor) {
    let size = x.size();
    let mut normal = Tensor::empty(&size, (N::KIND, Device::Cpu));
    let mut scales = Tensor::empty([size[0]], (Kind::Float, Device::Cpu));
    let (width, x) = (size[1] as usize, numbers_of::<f32>(x));
    let rows = share(x.len(), width);
    let parts = x.chunks(rows * width).zip(numbers_of_new::<N>(&mut normal).chunks_mut(rows * width));
    let parts = parts.zip(numbers_of_new(&mut scales).chunks_mut(rows)).collect();
    run(parts, |((x, normal), scales)| {
        // SAFETY: the processor has AVX2 and FMA, as `serves` found.
        unsafe { normalise(x, width, epsilon, normal, scales) }
    });
    (normal, scales)
}

in_registers! {
    /// Every row over its root mean square, and one over that.
    if width.is_multiple_of(16);
    pub fn normalise<N: Number>(x: &[f32], width: usize, epsilon: f32, normal: &mut [N], scales: &mut [f32]) {
        for ((x, normal), scale) in x.chunks_exact(width).zip(normal.chunks_exact_mut(width)).zip(scales) {
            *scale = 1.0 / (dot(x, x) / width as f32 + epsilon).sqrt();
            let factor = all(*scale);
            for (x, normal) in x.chunks_exact(LANES).zip(normal.chunks_exact_mut(LANES)) {
                store(normal, multiply(load(x), factor));
            }
        }
    }
}

/// With n = x s: `∂x = s (g - n mean(g n))`; n and g are factors, the rest is float32. // [N, D]
pub fn backward(normal: &Tensor, scales: &Tensor, of_normal: &Tensor, factors: Factors) -> Tensor {
    with_numbers!(factors, N => backward_as::<N>(normal, scales, of_normal))
}

fn backward_as<N: Number>(normal: &Tensor, scales: &Tensor, of_normal: &Tensor) -> Tensor {
    let size = normal.size();
    let mut of_x = Tensor::empty(&size, (Kind::Float, Device::Cpu));
    let (width, numbers) = (size[1] as usize, numbers_of::<N>(normal));
    let rows = share(numbers.len(), width);
    let parts = numbers.chunks(rows * width).zip(numbers_of::<N>(of_normal).chunks(rows * width));
    let parts = parts.zip(numbers_of(scales).chunks(rows)).zip(numbers_of_new(&mut of_x).chunks_mut(rows * width));
    run(parts.collect(), |(((normal, of_normal), scales), of_x)| {
        // SAFETY: as above.
        unsafe { of_rows(normal, of_normal, scales, width, None, of_x) }
    });
    of_x
}

in_registers! {
    /// Gradients of rows from those of what they were made, plus the base where there is one.
    if width.is_multiple_of(16);
    pub fn of_rows<N: Number>(
        normal: &[N],
        of_normal: &[N],
        scales: &[f32],
        width: usize,
        base: Option<&[f32]>,
        of_x: &mut [f32],
    ) {
        let rows = normal.chunks_exact(width).zip(of_normal.chunks_exact(width)).zip(of_x.chunks_exact_mut(width));
        for (row, (((normal, of_normal), of_x), scale)) in rows.zip(scales).enumerate() {
            let base = base.map(|base| &base[row * width..][..width]);
            let (common, scale) = (all(-dot(normal, of_normal) / width as f32), all(*scale));
            let lanes = normal.chunks_exact(LANES).zip(of_normal.chunks_exact(LANES)).zip(of_x.chunks_exact_mut(LANES));
            for (place, ((normal, of_normal), of_x)) in (0..).step_by(LANES).zip(lanes) {
                let of_row = multiply_add(common, load(normal), load(of_normal));
                let base = base.map_or(all(0.0), |base| load(&base[place..]));
                store(of_x, multiply_add(scale, of_row, base));
            }
        }
    }
}
