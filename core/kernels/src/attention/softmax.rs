//! Softmax of a query's scores, and its gradient.
#![allow(unsafe_code)]

use crate::registers::in_registers;

in_registers! {
    /// A row of scores, whole tiles, becomes exponentials of what they are less than the largest, and zeros past what is
    /// seen; gives that and the sum.
    by R;
    pub fn soften(scores: &mut [f32], bias: Option<&[f32]>, seen: usize) -> (f32, f32) {
        let (scores, unseen) = scores.split_at_mut(seen.next_multiple_of(LANES).min(scores.len()));
        clear(unseen);
        let mut most = all(f32::NEG_INFINITY);
        for (place, scores) in (0..).step_by(LANES).zip(scores.chunks_exact_mut(LANES)) {
            let mut score = load(scores);
            if let Some(bias) = bias {
                score = add(score, load(&bias[place..]));
            }
            let score = first(seen - place, score);
            most = larger(most, score);
            store(scores, score);
        }
        let most = largest(most);
        let mut total = all(0.0);
        for scores in scores.chunks_exact_mut(LANES) {
            let weight = exponential(subtract(load(scores), all(most)));
            total = add(total, weight);
            store(scores, weight);
        }
        (most, sum(total))
    }
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

in_registers! {
    /// Scores, whole tiles, become weights as they were summed with, and products of the gradient with the values become the
    /// scores' gradient; both are 0 past what is seen.
    by R;
    pub fn harden(row: &Row<'_>, weights: &mut [f32], of_scores: &mut [f32]) {
        let (weights, unseen) = weights.split_at_mut(row.seen.next_multiple_of(LANES).min(weights.len()));
        clear(unseen);
        let (of_scores, unseen) = of_scores.split_at_mut(weights.len());
        clear(unseen);
        let (most, scale, common) = (all(row.most), all(row.scale), all(row.common));
        let lanes = weights.chunks_exact_mut(LANES).zip(of_scores.chunks_exact_mut(LANES));
        for (place, (weights, of_scores)) in (0..).step_by(LANES).zip(lanes) {
            let mut score = load(weights);
            if let Some(bias) = row.bias {
                score = add(score, load(&bias[place..]));
            }
            let score = first(row.seen - place, score);
            let weight = multiply(exponential(subtract(score, most)), scale);
            let (mut kept, mut of_weight) = (weight, load(of_scores));
            if let Some(factors) = row.factors {
                let factors = load(&factors[place..]);
                (kept, of_weight) = (multiply(kept, factors), multiply(of_weight, factors));
            }
            store(weights, kept);
            store(of_scores, multiply(weight, subtract(of_weight, common)));
        }
    }
}

/// Zeros. Most often there is nothing to clear, and no call is made.
#[inline]
fn clear(unseen: &mut [f32]) {
    if !unseen.is_empty() {
        unseen.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::{Eight, Registers, Sixteen, registers_of_sixteen};

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
