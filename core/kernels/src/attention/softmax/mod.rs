//! Softmax of a query's scores, and its gradient.
#![allow(unsafe_code)]

mod sixteen;

use crate::lanes::{LANES, exponential, largest, load, store, sum};
use crate::registers::Registers;
use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps,
};

/// Minus infinity for the keys that are not seen, when read from the right place.
const UNSEEN: [f32; 2 * LANES] = {
    let mut unseen = [0.0; 2 * LANES];
    let mut index = LANES;
    while index < 2 * LANES {
        unseen[index] = f32::NEG_INFINITY;
        index += 1;
    }
    unseen
};

/// Scores of `LANES` keys from `place` on, with bias, minus infinity where unseen.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn biased(scores: &[f32], bias: Option<&[f32]>, place: usize, seen: usize) -> __m256 {
    let mut biased = load(&scores[place..]);
    if let Some(bias) = bias {
        biased = _mm256_add_ps(biased, load(&bias[place..]));
    }
    _mm256_add_ps(biased, load(&UNSEEN[LANES - seen.saturating_sub(place).min(LANES)..]))
}

/// A row of scores becomes exponentials of what they are less than the largest, and zeros past what is seen; gives that
/// and the sum.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn soften<R: Registers>(scores: &mut [f32], bias: Option<&[f32]>, seen: usize) -> (f32, f32) {
    if R::SIXTEEN {
        // SAFETY: the processor has AVX-512, or its registers would not have been named.
        return unsafe { sixteen::soften(scores, bias, seen) };
    }
    let (scores, unseen) = scores.split_at_mut(seen.next_multiple_of(LANES).min(scores.len()));
    unseen.fill(0.0);
    let mut most = _mm256_set1_ps(f32::NEG_INFINITY);
    for place in (0..scores.len()).step_by(LANES) {
        let score = biased(scores, bias, place, seen);
        most = _mm256_max_ps(most, score);
        store(&mut scores[place..], score);
    }
    let most = largest(most);
    let mut total = _mm256_setzero_ps();
    for scores in scores.chunks_exact_mut(LANES) {
        let weight = exponential(_mm256_sub_ps(load(scores), _mm256_set1_ps(most)));
        total = _mm256_add_ps(total, weight);
        store(scores, weight);
    }
    (most, sum(total))
}

/// What is known of a query when the gradients of its scores are asked for.
pub struct Row<'a> {
    /// Added to the scores.
    pub bias: Option<&'a [f32]>,
    /// Keys that it sees.
    pub seen: usize,
    /// The largest score, and one over the sum of exponentials.
    pub most: f32,
    pub scale: f32,
    /// What it found times the gradient of that, `g·o`.
    pub common: f32,
    /// What weights were multiplied by, 0 or more, where some were dropped.
    pub factors: Option<&'a [f32]>,
}

/// Scores become weights as they were summed with, and products of the gradient with the values become the scores'
/// gradient; both are 0 past what is seen.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn harden<R: Registers>(row: &Row<'_>, weights: &mut [f32], of_scores: &mut [f32]) {
    if R::SIXTEEN {
        // SAFETY: as above.
        return unsafe { sixteen::harden(row, weights, of_scores) };
    }
    let (weights, unseen) = weights.split_at_mut(row.seen.next_multiple_of(LANES).min(weights.len()));
    unseen.fill(0.0);
    let (of_scores, unseen) = of_scores.split_at_mut(weights.len());
    unseen.fill(0.0);
    let (most, scale, common) = (_mm256_set1_ps(row.most), _mm256_set1_ps(row.scale), _mm256_set1_ps(row.common));
    for place in (0..weights.len()).step_by(LANES) {
        let score = biased(weights, row.bias, place, row.seen);
        let weight = _mm256_mul_ps(exponential(_mm256_sub_ps(score, most)), scale);
        let (mut kept, mut of_weight) = (weight, load(&of_scores[place..]));
        if let Some(factors) = row.factors {
            let factors = load(&factors[place..]);
            (kept, of_weight) = (_mm256_mul_ps(kept, factors), _mm256_mul_ps(of_weight, factors));
        }
        store(&mut weights[place..], kept);
        store(&mut of_scores[place..], _mm256_mul_ps(weight, _mm256_sub_ps(of_weight, common)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::{Eight, Sixteen, registers_of_sixteen};

    /// More than a register of sixteen and less than three, whole tiles.
    const ACROSS: usize = 48;

    fn numbers(seed: usize) -> [f32; ACROSS] {
        std::array::from_fn(|index| ((index * 37 + seed * 101) % 97) as f32 / 20.0 - 2.4)
    }

    /// Whether numbers agree, and those past what is seen are 0.
    fn hold(found: &[f32], expected: impl Fn(usize) -> f64, seen: usize) {
        for (place, found) in found.iter().enumerate() {
            let expected = if place < seen { expected(place) } else { 0.0 };
            assert!(
                (f64::from(*found) - expected).abs() < 2e-6 * expected.abs().max(1.0),
                "{place} of {seen}: {found}"
            );
        }
    }

    fn agree<R: Registers>() {
        let (scores, bias, products, factors) = (numbers(1), numbers(2), numbers(3), numbers(4).map(f32::abs));
        for seen in 1..=ACROSS {
            let biased = |place: usize| f64::from(scores[place] + bias[place]);
            let largest = (0..seen).map(biased).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..seen).map(|place| (biased(place) - largest).exp()).sum();
            let mut weights = scores;
            // SAFETY: the processor has AVX2 and FMA, and these registers, as was asked.
            let (most, total) = unsafe { soften::<R>(&mut weights, Some(&bias), seen) };
            assert!((f64::from(most) - largest).abs() < 1e-6 && (f64::from(total) / sum - 1.0).abs() < 1e-6);
            hold(&weights, |place| (biased(place) - largest).exp(), seen);
            let weight = |place: usize| (biased(place) - largest).exp() / sum;
            for factors in [None, Some(&factors[..])] {
                let factor = |place: usize| factors.map_or(1.0, |factors| f64::from(factors[place]));
                let row = Row { bias: Some(&bias), seen, most, scale: 1.0 / total, common: 0.3, factors };
                let (mut weights, mut of_scores) = (scores, products);
                // SAFETY: as above.
                unsafe { harden::<R>(&row, &mut weights, &mut of_scores) };
                hold(&weights, |place| weight(place) * factor(place), seen);
                hold(&of_scores, |place| weight(place) * (f64::from(products[place]) * factor(place) - 0.3), seen);
            }
        }
    }

    #[test]
    fn weights_and_gradients_are_those_of_the_formulas() {
        if !crate::processor_serves() {
            eprintln!("skipped: this processor has no AVX2");
            return;
        }
        agree::<Eight>();
        if registers_of_sixteen() {
            agree::<Sixteen>();
        } else {
            eprintln!("not tried in registers of sixteen numbers, which this processor has not");
        }
    }
}
