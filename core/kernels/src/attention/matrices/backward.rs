//! Gradients of what queries found, by the equations of [`backward`](crate::attention::backward).

use super::{across, step};
use crate::attention::backward::{Known, add_to_bias};
use crate::attention::output::Output;
use crate::attention::sequence::{Sequence, factors};
use crate::attention::softmax::harden;
use crate::floats::Ahead;
use crate::matrices::{
    BLOCK, DEEP, HIGH, Left, Matrices, Right, pairs, product, put, rounded, rows, turned, turned_pairs,
};
use crate::number::Number;
use crate::registers::Sixteen;
use crate::tiles::{Onto, WIDE};
use half::bf16;

/// Queries that are worked on at once.
const QUERIES: usize = 2 * DEEP;

/// Room for a sequence's backward pass, head by head.
#[derive(Default)]
pub struct Backward {
    rows: Vec<bf16>,           // [step, width]
    keys: Vec<bf16>,           // a right factor
    turned_keys: Vec<bf16>,    // kᵀ, a right factor
    turned_values: Vec<bf16>,  // vᵀ, a right factor
    queries: Vec<bf16>,        // [block, width]
    query_pairs: Vec<bf16>,    // the same, a right factor
    of_found: Vec<bf16>,       // [block, width]
    of_found_pairs: Vec<bf16>, // the same, a right factor
    weights: Vec<f32>,         // [block, step]
    of_scores: Vec<f32>,       // [block, step]
    factors: Vec<f32>,         // [step]
    rounded: Vec<bf16>,        // [HIGH, step]
    turned: Vec<bf16>,         // some keys' scores, a left factor
    of_queries: Vec<f32>,      // [HIGH, width]
    of_keys: Vec<f32>,         // [step, width]
    of_values: Vec<f32>,       // [step, width]
}

/// As [`backward::pass`](crate::attention::backward::pass).
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn pass<N: Number>(
    matrices: &Matrices,
    mut sequence: Sequence<'_, N>,
    known: &Known<'_, N>,
    room: &mut Backward,
    ahead: &mut Ahead<'_, N>,
    output: &mut Output<'_, N>,
    of_bias: &mut [f32],
) {
    let (width, step) = (sequence.width, step(&sequence));
    room.rounded.resize(HIGH * step, bf16::ZERO);
    room.turned.resize(QUERIES / DEEP * BLOCK, bf16::ZERO);
    room.of_queries.resize(HIGH * width, 0.0);
    room.of_keys.resize(step * width, 0.0);
    room.of_values.resize(step * width, 0.0);
    for head in 0..sequence.heads {
        let columns = head * width..(head + 1) * width;
        rows(sequence.values.columns(&columns), step, &mut room.rows);
        turned(&room.rows, width, &mut room.turned_values);
        rows(sequence.keys.columns(&columns), step, &mut room.rows);
        turned(&room.rows, width, &mut room.turned_keys);
        pairs(&room.rows, width, &mut room.keys);
        for block in (0..sequence.queries.count).step_by(QUERIES) {
            let count = QUERIES.min(sequence.queries.count - block);
            let padded = count.next_multiple_of(DEEP);
            rows(sequence.queries.columns(&columns).rows(block, count), padded, &mut room.queries);
            rows(known.of_found.columns(&columns).rows(block, count), padded, &mut room.of_found);
            pairs(&room.queries, width, &mut room.query_pairs);
            pairs(&room.of_found, width, &mut room.of_found_pairs);
            room.weights.resize(padded * step, 0.0);
            room.of_scores.resize(padded * step, 0.0);
            for first in (0..count).step_by(HIGH) {
                ahead.step();
                let these = These { block, first, high: HIGH.min(count - first) };
                score(matrices, &sequence, room, these);
                for row in first..first + these.high {
                    weigh(&mut sequence, known, room, head, these, row, of_bias);
                }
                put_of_queries(matrices, &sequence, room, head, these, output);
            }
            for scores in [&mut room.weights, &mut room.of_scores] {
                scores[count * step..].fill(0.0);
            }
            sum_of_keys_and_values(matrices, &sequence, room, block, count);
        }
        output.put_of_keys_and_values(head, &room.of_keys, &room.of_values);
    }
}

/// Up to sixteen of a block's queries.
#[derive(Clone, Copy)]
struct These {
    /// The block's first query.
    block: usize,
    /// The first of these in the block.
    first: usize,
    high: usize,
}

impl These {
    /// The last of these in its sequence.
    fn last(self) -> usize {
        self.block + self.first + self.high - 1
    }
}

/// Scores, and products of the gradient with the values. // [HIGH, step]
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn score<N: Number>(matrices: &Matrices, sequence: &Sequence<'_, N>, room: &mut Backward, queries: These) {
    let (width, step, across) = (sequence.width, step(sequence), across(sequence, queries.last()));
    for (left, right, into) in [
        (&room.queries, &room.turned_keys, &mut room.weights),
        (&room.of_found, &room.turned_values, &mut room.of_scores),
    ] {
        let left = Left { numbers: &left[queries.first * width..], row: width, step: DEEP };
        let right = Right { numbers: right, across: step / WIDE };
        let into = &mut into[queries.first * step..];
        product(matrices, left, right, width / DEEP, across, Onto::Anything, into, step);
    }
}

/// A query's scores become its probabilities, and products of its gradient with the values become the scores' gradient,
/// which is added to that of the bias, and rounded.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn weigh<N: Number>(
    sequence: &mut Sequence<'_, N>,
    known: &Known<'_, N>,
    room: &mut Backward,
    head: usize,
    queries: These,
    row: usize,
    of_bias: &mut [f32],
) {
    let query = queries.block + row;
    let (step, across) = (step(sequence), across(sequence, queries.last()));
    let factors = factors(&mut sequence.decisions, head, across, &mut room.factors);
    let known = known.row(sequence, head, query, factors);
    let of_scores = &mut room.of_scores[row * step..][..across];
    harden::<Sixteen>(&known, &mut room.weights[row * step..][..across], of_scores);
    add_to_bias(sequence, head, query, of_scores, of_bias);
    rounded(of_scores, &mut room.rounded[(row - queries.first) * step..][..step]);
}

/// `∂q = ∂s k`.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn put_of_queries<N: Number>(
    matrices: &Matrices,
    sequence: &Sequence<'_, N>,
    room: &mut Backward,
    head: usize,
    queries: These,
    output: &mut Output<'_, N>,
) {
    let (width, step) = (sequence.width, step(sequence));
    let left = Left { numbers: &room.rounded, row: step, step: DEEP };
    let right = Right { numbers: &room.keys, across: width / WIDE };
    let steps = across(sequence, queries.last()).div_ceil(DEEP);
    product(matrices, left, right, steps, width, Onto::Anything, &mut room.of_queries, width);
    let (into, stride) = output.of_queries(queries.block + queries.first, head);
    for (row, of_query) in room.of_queries.chunks_exact(width).take(queries.high).enumerate() {
        put(of_query, 1.0, &mut into[row * stride..][..width]);
    }
}

/// `∂v = pᵀ g` and `∂k = ∂sᵀ q` of a block, sixteen keys at a time, onto what the blocks before gave.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn sum_of_keys_and_values<N: Number>(
    matrices: &Matrices,
    sequence: &Sequence<'_, N>,
    room: &mut Backward,
    block: usize,
    count: usize,
) {
    let (width, keys, step) = (sequence.width, sequence.keys.count, step(sequence));
    let (seen, steps) = (sequence.seen(block + count - 1), count.div_ceil(DEEP));
    let onto = if block == 0 { Onto::Anything } else { Onto::Sums };
    for (scores, rows, into) in [
        (&room.weights, &room.of_found_pairs, &mut room.of_values),
        (&room.of_scores, &room.query_pairs, &mut room.of_keys),
    ] {
        for key in (0..seen).step_by(HIGH) {
            // Queries before these sixteen were not asked for as many keys.
            let first = sequence.first_to_see(key, block, count, HIGH);
            let from = first / DEEP;
            for step_number in from..steps {
                let scores = &scores[step_number * DEEP * step + key..];
                let unasked = first.saturating_sub(step_number * DEEP);
                turned_pairs(scores, step, unasked, &mut room.turned[step_number * BLOCK..]);
            }
            let left = Left { numbers: &room.turned[from * BLOCK..], row: DEEP, step: BLOCK };
            let right = Right { numbers: &rows[from * DEEP * width..], across: width / WIDE };
            product(matrices, left, right, steps - from, width, onto, &mut into[key * width..], width);
        }
        if block == 0 {
            into[seen.next_multiple_of(HIGH).min(keys) * width..keys * width].fill(0.0);
        }
    }
}
