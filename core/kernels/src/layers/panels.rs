//! Matrices laid out for tiles.

use crate::floats::numbers_of;
use crate::lanes::{LANES, load, store, transposed};
use crate::tiles::WIDE;
use std::arch::x86_64::_mm256_setzero_ps;
use tch::Tensor;

/// A product's right factor: weights, or their transpose.
pub struct Right {
    lying: Tensor, // [K, N], or [N, K] where it is turned
    turned: bool,
}

/// The same in panels.
#[derive(Debug)]
pub struct Panels {
    numbers: Vec<f32>,
    rows: usize,
}

impl Right {
    /// Of `[K, N]`, by rows or by columns, without a copy.
    pub fn of(w: &Tensor) -> Self {
        let turned = !w.is_contiguous() && w.tr().is_contiguous();
        Self { lying: if turned { w.tr() } else { w.contiguous() }, turned }
    }

    /// The transpose, without a copy.
    pub fn transposed(&self) -> Self {
        Self { lying: self.lying.shallow_clone(), turned: !self.turned }
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        let size = self.lying.size();
        let (first, second) = (size[0] as usize, size[1] as usize);
        if self.turned { (second, first) } else { (first, second) }
    }

    /// Laid out, both sizes being multiples of 16.
    #[target_feature(enable = "avx2,fma")]
    pub fn panels(&self) -> Panels {
        let (rows, columns) = self.size();
        let numbers = numbers_of::<f32>(&self.lying);
        if self.turned { Panels::of_columns(numbers, rows) } else { Panels::of_rows(numbers, columns) }
    }
}

impl Panels {
    /// Of a factor's rows, a multiple of 16 wide.
    #[target_feature(enable = "avx2,fma")]
    pub fn of_rows(numbers: &[f32], width: usize) -> Self {
        let mut panels = Vec::new();
        lay_out(numbers, width, &mut panels);
        Self { numbers: panels, rows: numbers.len() / width }
    }

    /// Of a factor's columns, a multiple of 16 and each `rows` long, a multiple of 8.
    #[target_feature(enable = "avx2,fma")]
    pub fn of_columns(numbers: &[f32], rows: usize) -> Self {
        let mut panels = vec![0.0; numbers.len()];
        for (columns, panel) in numbers.chunks_exact(rows * WIDE).zip(panels.chunks_exact_mut(rows * WIDE)) {
            for (half, columns) in [0, LANES].into_iter().zip(columns.chunks_exact(rows * LANES)) {
                for (group, into) in panel.chunks_exact_mut(LANES * WIDE).enumerate() {
                    let mut square = [_mm256_setzero_ps(); LANES];
                    for (lanes, column) in square.iter_mut().zip(columns.chunks_exact(rows)) {
                        *lanes = load(&column[group * LANES..]);
                    }
                    for (into, row) in into.chunks_exact_mut(WIDE).zip(transposed(square)) {
                        store(&mut into[half..], row);
                    }
                }
            }
        }
        Self { numbers: panels, rows }
    }

    /// The panels, each `[rows, WIDE]`.
    pub fn each(&self) -> std::slice::ChunksExact<'_, f32> {
        self.numbers.chunks_exact(self.rows * WIDE)
    }
}

/// Lays rows out in panels ([`Layout::panels`](crate::tiles::Layout::panels)).
#[target_feature(enable = "avx2,fma")]
pub fn lay_out(numbers: &[f32], width: usize, into: &mut Vec<f32>) {
    let rows = numbers.len() / width;
    into.resize(numbers.len(), 0.0);
    for (row, numbers) in numbers.chunks_exact(width).enumerate() {
        for (panel, numbers) in numbers.chunks_exact(WIDE).enumerate() {
            let into = &mut into[(panel * rows + row) * WIDE..][..WIDE];
            store(into, load(numbers));
            store(&mut into[LANES..], load(&numbers[LANES..]));
        }
    }
}
