//! Dropout and activation of rows that are near the processor.

use crate::dropping::{Decisions, Dropping};
use crate::number::Number;
use crate::registers::in_registers;

/// Numbers whose multipliers are drawn at once.
const DRAWN: usize = 1024;

/// What a chunk's numbers are multiplied by, drawn anew whenever it is asked for.
pub struct Multipliers {
    decisions: Option<Decisions>,
    room: [f32; DRAWN],
}

impl Multipliers {
    /// Of a chunk, by its number.
    pub fn of(dropping: Option<Dropping>, chunk: usize) -> Self {
        Self { decisions: dropping.map(|dropping| dropping.decisions(chunk as u64)), room: [1.0; DRAWN] }
    }

    /// Of the next numbers, as many as are drawn at once or the last ones, a multiple of 16.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn next(&mut self, count: usize) -> &[f32] {
        if let Some(decisions) = &mut self.decisions {
            decisions.fill(&mut self.room[..count]);
        }
        &self.room[..count]
    }
}

in_registers! {
    /// `base + m ⊙ numbers` in place of the numbers.
    if base.len().is_multiple_of(16);
    pub fn add(numbers: &mut [f32], base: &[f32], multipliers: &mut Multipliers) {
        for (numbers, base) in numbers.chunks_mut(DRAWN).zip(base.chunks(DRAWN)) {
            let kept = multipliers.next(base.len());
            let lanes = numbers.chunks_exact_mut(LANES).zip(base.chunks_exact(LANES)).zip(kept.chunks_exact(LANES));
            for ((numbers, base), kept) in lanes {
                store(numbers, multiply_add(load(numbers), load(kept), load(base)));
            }
        }
    }
}

in_registers! {
    /// `base + m ⊙ changes`.
    if base.len().is_multiple_of(16);
    pub fn plus<N: Number>(base: &[f32], changes: &[N], multipliers: &mut Multipliers, into: &mut [f32]) {
        for ((base, changes), into) in base.chunks(DRAWN).zip(changes.chunks(DRAWN)).zip(into.chunks_mut(DRAWN)) {
            let kept = multipliers.next(base.len());
            let lanes = base.chunks_exact(LANES).zip(changes.chunks_exact(LANES)).zip(kept.chunks_exact(LANES));
            for (((base, changes), kept), into) in lanes.zip(into.chunks_exact_mut(LANES)) {
                store(into, multiply_add(load(changes), load(kept), load(base)));
            }
        }
    }
}

in_registers! {
    /// `m ⊙ numbers`.
    if numbers.len().is_multiple_of(16);
    pub fn scale<N: Number>(numbers: &[f32], multipliers: &mut Multipliers, into: &mut [N]) {
        for (numbers, into) in numbers.chunks(DRAWN).zip(into.chunks_mut(DRAWN)) {
            let kept = multipliers.next(numbers.len());
            let lanes = numbers.chunks_exact(LANES).zip(kept.chunks_exact(LANES)).zip(into.chunks_exact_mut(LANES));
            for ((numbers, kept), into) in lanes {
                store(into, multiply(load(numbers), load(kept)));
            }
        }
    }
}

in_registers! {
    /// `max(m ⊙ numbers, 0)` in their place, as factors.
    if numbers.len().is_multiple_of(16);
    pub fn rectify<N: Number>(numbers: &mut [N], multipliers: &mut Multipliers) {
        for numbers in numbers.chunks_mut(DRAWN) {
            let kept = multipliers.next(numbers.len());
            for (numbers, kept) in numbers.chunks_exact_mut(LANES).zip(kept.chunks_exact(LANES)) {
                // What is not a number shall be seen.
                store(numbers, larger(all(0.0), multiply(load(numbers), load(kept))));
            }
        }
    }
}

in_registers! {
    /// The gradients of what was rectified in place of those of the results: `scale` times them where a result is not 0, for
    /// nothing dropped is there.
    if results.len().is_multiple_of(16);
    pub fn pass_through<N: Number>(results: &[N], scale: f32, gradients: &mut [N]) {
        for (results, gradients) in results.chunks_exact(LANES).zip(gradients.chunks_exact_mut(LANES)) {
            store(gradients, where_positive(load(results), multiply(load(gradients), all(scale))));
        }
    }
}
