//! Rows times weights.

use super::panels::Panels;
use crate::lanes::{LANES, load, store};
use crate::tiles::{HIGH, Layout, WIDE, product};
use std::arch::x86_64::_mm256_add_ps;

/// Writes `count` rows of `x` times weights, plus the base where there is one, which is laid out as the result is.
#[target_feature(enable = "avx2,fma")]
pub fn times(
    (x, from): (&[f32], Layout),
    count: usize,
    weights: &Panels,
    base: Option<&[f32]>,
    (into, to): (&mut [f32], Layout),
) {
    for (panel, weights) in weights.each().enumerate() {
        let column = to.tile(panel);
        for first in (0..count).step_by(HIGH) {
            let high = HIGH.min(count - first);
            let tile = product(x, from, first, high, weights);
            for (row, [mut left, mut right]) in tile.into_iter().enumerate().take(high) {
                let place = (first + row) * to.row + column;
                if let Some(base) = base {
                    let base = &base[place..][..WIDE];
                    (left, right) = (_mm256_add_ps(left, load(base)), _mm256_add_ps(right, load(&base[LANES..])));
                }
                let into = &mut into[place..][..WIDE];
                store(into, left);
                store(&mut into[LANES..], right);
            }
        }
    }
}
