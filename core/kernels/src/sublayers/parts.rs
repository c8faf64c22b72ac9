//! Rows in parts, which libtorch's threads take as they come.

use super::rows::{Gradients, Kept, Sublayer};
use crate::floats::{numbers_of, numbers_of_new, split, split_mut};
use crate::number::Number;
use crate::threads::{run, threads};
use tch::Tensor;

/// Rows whose numbers stay near a thread from one product to the next: with 512 activations, each of these and of its
/// gradient in bf16, some 2 MB.
const ROWS: usize = 512;

/// Rows that are worth the calls of libtorch's products.
const WORTH_CALLS: usize = 128;

/// Rows of each part of so many, the same for as many threads.
pub fn cut(rows: usize) -> Vec<usize> {
    // As many for each thread.
    let count = rows.div_ceil(ROWS).next_multiple_of(threads()).min(rows / WORTH_CALLS).max(1);
    (0..count).map(|part| rows * (part + 1) / count - rows * part / count).collect()
}

/// The result of parts of so many numbers, and what each keeps where that is wanted; else the next part finds its memory
/// near.
pub fn forward<N: Number>(
    states: &Tensor,
    parts: &[Sublayer<N>],
    lengths: &[usize],
    keeps: bool,
) -> (Tensor, Option<Vec<Kept>>) {
    let mut result = states.empty_like();
    let results = split_mut(numbers_of_new(&mut result), lengths.iter().copied());
    let jobs = parts.iter().zip(split(numbers_of(states), lengths.iter().copied())).zip(results);
    let jobs = jobs.map(|((part, states), result)| (part.shared(), states, result)).collect();
    let kept =
        run(jobs, |(part, states, result)| tch::no_grad(|| Some(part.forward(states, result)).filter(|_| keeps)));
    (result, kept.into_iter().collect())
}

/// The gradient of the states, and those of each part's weights.
pub fn backward<N: Number>(
    parts: &[Sublayer<N>],
    lengths: &[usize],
    kept: &[Kept],
    of_result: &Tensor,
) -> (Tensor, Vec<Gradients>) {
    let mut of_states = of_result.empty_like();
    let into = split_mut(numbers_of_new(&mut of_states), lengths.iter().copied());
    let known = parts.iter().zip(kept).map(|(part, kept)| (part.shared(), kept.shared()));
    let jobs = known.zip(split(numbers_of(of_result), lengths.iter().copied())).zip(into).collect();
    let gradients =
        run(jobs, |(((part, kept), of_result), into)| tch::no_grad(|| part.backward(&kept, of_result, into)));
    (of_states, gradients)
}
