//! The passes, in rows shared out among libtorch's threads.
#![allow(unsafe_code)]

use crate::floats::{numbers_of, numbers_of_new};
use crate::number::Number;
use crate::registers::in_registers;
use crate::threads::{run, share};
use half::bf16;
use tch::{Kind, Tensor};

/// Softmax of `scores` `[B, .., T]` plus `mask` `[B, T]`.
pub fn forward(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    if scores.kind() == Kind::Float { forward_as::<f32>(scores, mask) } else { forward_as::<bf16>(scores, mask) }
}

fn forward_as<N: Number>(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let mut result = scores.empty_like();
    let size = scores.size();
    let (batch, width) = (size[0] as usize, size[size.len() - 1] as usize);
    let numbers = numbers_of::<N>(scores);
    if numbers.is_empty() {
        return result;
    }
    let masks = padded(mask.map(numbers_of::<f32>), batch, width);
    let (of_one, rows) = (numbers.len() / batch / width, share(numbers.len(), width));
    let parts = numbers.chunks(rows * width).zip(numbers_of_new::<N>(&mut result).chunks_mut(rows * width));
    run(parts.enumerate().collect(), |(part, (scores, result))| {
        let mut room = vec![0.0; width.next_multiple_of(STEP)];
        for (row, (scores, result)) in
            (part * rows..).zip(scores.chunks_exact(width).zip(result.chunks_exact_mut(width)))
        {
            let mask = &masks[row / of_one * room.len()..][..room.len()];
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            unsafe { soften(scores, mask, &mut room, result) }
        }
    });
    result
}

/// Columns that masks, and the room for scores, are filled up to a multiple of.
pub const STEP: usize = 16;

/// A mask of every element of the batch, minus infinity up to a multiple of [`STEP`] columns.
pub fn padded(mask: Option<&[f32]>, batch: usize, width: usize) -> Vec<f32> {
    let step = width.next_multiple_of(STEP);
    let mut padded = Vec::with_capacity(batch * step);
    for element in 0..batch {
        match mask {
            Some(mask) => padded.extend_from_slice(&mask[element * width..][..width]),
            None => padded.resize(padded.len() + width, 0.0),
        }
        padded.resize((element + 1) * step, f32::NEG_INFINITY);
    }
    padded
}

in_registers! {
    /// Softmax of a row of scores plus its mask, which is minus infinity up to a multiple of [`STEP`] columns, as many as the
    /// room has.
    pub fn soften<N: Number>(scores: &[N], mask: &[f32], room: &mut [f32], result: &mut [N]) {
        let mut most = all(f32::NEG_INFINITY);
        let whole = scores.chunks_exact(LANES);
        let rest = whole.remainder();
        for ((scores, room), mask) in whole.zip(room.chunks_exact_mut(LANES)).zip(mask.chunks_exact(LANES)) {
            let score = add(load(scores), load(mask));
            // What is not a number shall be seen.
            most = larger(most, score);
            store(room, score);
        }
        if !rest.is_empty() {
            let mut last = [N::zeroed(); LANES];
            last[..rest.len()].copy_from_slice(rest);
            let at = scores.len() - rest.len();
            let score = add(load(&last), load(&mask[at..]));
            most = larger(most, score);
            store(&mut room[at..], score);
        }
        let room = &mut room[..scores.len().next_multiple_of(LANES)];
        let (most, mut total) = (all(largest(most)), all(0.0));
        for room in room.chunks_exact_mut(LANES) {
            let weight = exponential(subtract(load(room), most));
            total = add(total, weight);
            store(room, weight);
        }
        let share = all(1.0 / sum(total));
        let mut whole = result.chunks_exact_mut(LANES);
        for (room, result) in room.chunks_exact(LANES).zip(&mut whole) {
            store(result, multiply(load(room), share));
        }
        let (rest, last) = (whole.into_remainder(), &room[room.len() - LANES..]);
        if !rest.is_empty() {
            let mut weights = [N::zeroed(); LANES];
            store(&mut weights, multiply(load(last), share));
            rest.copy_from_slice(&weights[..rest.len()]);
        }
    }
}

/// From gradients g of the weights p: those of the scores, `p (g - Σ p g)`. // as `weights`
pub fn backward(weights: &Tensor, of_weights: &Tensor) -> Tensor {
    match weights.kind() {
        Kind::Float => backward_as::<f32>(weights, of_weights),
        _ => backward_as::<bf16>(weights, of_weights),
    }
}

fn backward_as<N: Number>(weights: &Tensor, of_weights: &Tensor) -> Tensor {
    let mut result = weights.empty_like();
    let (width, numbers) = (weights.size().last().map_or(1, |width| *width as usize), numbers_of::<N>(weights));
    let rows = share(numbers.len(), width.max(1));
    let parts = numbers.chunks(rows * width.max(1)).zip(numbers_of::<N>(of_weights).chunks(rows * width.max(1)));
    let parts = parts.zip(numbers_of_new::<N>(&mut result).chunks_mut(rows * width.max(1)));
    run(parts.collect(), |((weights, of_weights), result)| {
        let rows = weights.chunks_exact(width).zip(of_weights.chunks_exact(width));
        for ((weights, of_weights), result) in rows.zip(result.chunks_exact_mut(width)) {
            // SAFETY: as above.
            unsafe { harden(weights, of_weights, result) }
        }
    });
    result
}

in_registers! {
    /// A row of gradients of scores, from weights and their gradients.
    pub fn harden<N: Number>(weights: &[N], of_weights: &[N], result: &mut [N]) {
        let whole = weights.len() / LANES * LANES;
        let ((weights, last), (of_weights, of_last)) = (weights.split_at(whole), of_weights.split_at(whole));
        let (mut rest, mut of_rest) = ([N::zeroed(); LANES], [N::zeroed(); LANES]);
        rest[..last.len()].copy_from_slice(last);
        of_rest[..last.len()].copy_from_slice(of_last);
        let mut common = multiply(load(&rest), load(&of_rest));
        for (weights, of_weights) in weights.chunks_exact(LANES).zip(of_weights.chunks_exact(LANES)) {
            common = multiply_add(load(weights), load(of_weights), common);
        }
        let common = all(sum(common));
        let (result, of_scores) = result.split_at_mut(whole);
        let lanes = weights.chunks_exact(LANES).zip(of_weights.chunks_exact(LANES));
        for ((weights, of_weights), result) in lanes.zip(result.chunks_exact_mut(LANES)) {
            store(result, multiply(load(weights), subtract(load(of_weights), common)));
        }
        let weights = rest;
        store(&mut rest, multiply(load(&weights), subtract(load(&of_rest), common)));
        of_scores.copy_from_slice(&rest[..last.len()]);
    }
}
