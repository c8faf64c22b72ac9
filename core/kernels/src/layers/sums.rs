//! Gradients of weights: columns of one matrix times columns of another, summed over rows as these come by.

use crate::floats::numbers_of_new;
use crate::threads::{run, threads};
use crate::tiles::{HIGH, WIDE, add_panels_product};
use tch::{Device, Kind, Tensor};

/// Height of the tiles that fill up what whole ones leave.
const LOW: usize = 4;

/// `Σ leftᵀ right`, with `high` columns of the left and `wide` of the right, both multiples of 16.
pub struct Sums {
    sums: Vec<f32>, // [high, wide]
    high: usize,
    wide: usize,
    /// Room for some columns of the left.
    left: Vec<f32>,
}

impl Sums {
    pub fn new(high: usize, wide: usize) -> Self {
        Self { sums: vec![0.0; high * wide], high, wide, left: Vec::new() }
    }

    /// Adds rows of the left, and as many of the right, which are in panels.
    #[target_feature(enable = "avx2,fma")]
    pub fn add(&mut self, left: &[f32], right: &[f32]) {
        let rows = left.len() / self.high;
        let (whole, low) = heights(self.high);
        self.left.resize(HIGH * rows, 0.0);
        let Self { sums, high, wide, left: laid_out, .. } = self;
        for group in 0..whole {
            add_group::<HIGH>(left, *high, group * HIGH, laid_out, right, rows, sums, *wide);
        }
        for group in 0..low {
            add_group::<LOW>(left, *high, whole * HIGH + group * LOW, laid_out, right, rows, sums, *wide);
        }
    }

    /// The sums so far. // [high, wide]
    pub fn numbers(&self) -> &[f32] {
        &self.sums
    }

    /// All sums of several parts. // [high, wide]
    pub fn total(parts: &[Self], high: usize, wide: usize) -> Tensor {
        let mut total = Tensor::zeros([high as i64, wide as i64], (Kind::Float, Device::Cpu));
        let into = numbers_of_new::<f32>(&mut total);
        let some = into.len().div_ceil(threads());
        run(into.chunks_mut(some).enumerate().collect(), |(part, into): (usize, &mut [f32])| {
            for sums in parts {
                into.iter_mut().zip(&sums.sums[part * some..]).for_each(|(into, sum)| *into += sum);
            }
        });
        total
    }
}

/// Whole tiles, and low ones, that a multiple of 16 rows takes.
fn heights(high: usize) -> (usize, usize) {
    match high % HIGH {
        0 => (high / HIGH, 0),
        LOW => (high / HIGH, 1),
        _ => (high / HIGH - 1, 2),
    }
}

/// Adds the products of `H` columns of the left from `first` on.
#[expect(clippy::too_many_arguments)]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_group<const H: usize>(
    left: &[f32],
    high: usize,
    first: usize,
    laid_out: &mut [f32],
    right: &[f32],
    rows: usize,
    sums: &mut [f32],
    wide: usize,
) {
    let laid_out = &mut laid_out[..rows * H];
    for (into, left) in laid_out.chunks_exact_mut(H).zip(left.chunks_exact(high)) {
        into.copy_from_slice(&left[first..first + H]);
    }
    for (panel, right) in right.chunks_exact(rows * WIDE).enumerate() {
        add_panels_product::<H>(laid_out, right, &mut sums[first * wide + panel * WIDE..], wide);
    }
}
