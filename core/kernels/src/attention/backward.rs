//! Gradients of what queries found, with the probabilities computed anew from the scores and their normalisers.
//!
//! With p = softmax(q kᵀ + bias), o = p v and g the gradient of o: ∂v = pᵀ g; ∂s = p ⊙ (g vᵀ - g·o); ∂q = ∂s k;
//! ∂k = ∂sᵀ q; ∂bias = ∂s. Dropout m stands between p and v: o = (p ⊙ m) v, ∂v = (p ⊙ m)ᵀ g, ∂s = p ⊙ (m ⊙ g vᵀ - g·o).

use super::output::Output;
use super::sequence::{BLOCK, Sequence, factors, gather, six, turn};
use super::softmax::{Row, harden};
use crate::floats::{Ahead, Block, add_to};
use crate::lanes::dot;
use crate::number::Number;
use crate::registers::Registers;
use crate::tiles::{Columns, HIGH, Onto, columns_times, rows_times};

/// Room for a sequence's backward pass, head by head.
#[derive(Default)]
pub struct Backward {
    keys: Vec<f32>,          // [heads, step, width]
    values: Vec<f32>,        // [heads, step, width]
    turned_keys: Vec<f32>,   // [width, step]
    turned_values: Vec<f32>, // [width, step]
    queries: Vec<f32>,       // [block, width]
    of_found: Vec<f32>,      // [block, width]
    weights: Vec<f32>,       // [block, step]
    of_scores: Vec<f32>,     // [block, step]
    factors: Vec<f32>,       // [step]
    of_keys: Vec<f32>,       // [step, width]
    of_values: Vec<f32>,     // [step, width]
}

/// What is known of a sequence's result.
pub struct Known<'a, N> {
    pub found: Block<'a, N>,    // [queries, heads * width]
    pub of_found: Block<'a, N>, // [queries, heads * width]
    /// Largest score and one over the sum of exponentials.
    pub normalisers: &'a [f32], // [queries, heads, 2]
}

impl<N: Number> Known<'_, N> {
    /// What is known of a head's query.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn row<'a>(
        &self,
        sequence: &Sequence<'a, N>,
        head: usize,
        query: usize,
        factors: Option<&'a [f32]>,
    ) -> Row<'a> {
        let Sequence { heads, width, .. } = *sequence;
        let normalisers = &self.normalisers[(query * heads + head) * 2..][..2];
        let columns = head * width..(head + 1) * width;
        Row {
            bias: sequence.bias(head, query),
            seen: sequence.seen(query),
            most: normalisers[0],
            scale: normalisers[1],
            common: dot(&self.found.row(query)[columns.clone()], &self.of_found.row(query)[columns]),
            factors,
        }
    }
}

/// Up to six of a block's queries.
#[derive(Clone, Copy)]
struct Six {
    /// The block's first query.
    block: usize,
    /// The first of the six in the block.
    first: usize,
    high: usize,
}

impl Six {
    /// The last of the six in its sequence.
    fn last(self) -> usize {
        self.block + self.first + self.high - 1
    }
}

/// Writes gradients of queries, keys and values, and adds that of the bias to `of_bias`, laid out as the bias.
#[target_feature(enable = "avx2,fma")]
pub fn pass<N: Number, R: Registers>(
    mut sequence: Sequence<'_, N>,
    known: &Known<'_, N>,
    room: &mut Backward,
    ahead: &mut Ahead<'_, N>,
    output: &mut Output<'_, N>,
    of_bias: &mut [f32],
) {
    let (width, step) = (sequence.width, sequence.step());
    room.of_keys.resize(step * width, 0.0);
    room.of_values.resize(step * width, 0.0);
    gather(sequence.keys, width, step, &mut room.keys);
    gather(sequence.values, width, step, &mut room.values);
    for head in 0..sequence.heads {
        let columns = head * width..(head + 1) * width;
        let all = head * step * width..;
        turn(&room.keys[all.clone()], step, width, step, &mut room.turned_keys);
        turn(&room.values[all], step, width, step, &mut room.turned_values);
        for block in (0..sequence.queries.count).step_by(BLOCK) {
            let count = BLOCK.min(sequence.queries.count - block);
            gather(sequence.queries.columns(&columns).rows(block, count), width, count, &mut room.queries);
            gather(known.of_found.columns(&columns).rows(block, count), width, count, &mut room.of_found);
            for scores in [&mut room.weights, &mut room.of_scores] {
                scores.resize(count.next_multiple_of(HIGH) * step, 0.0);
            }
            for first in (0..count).step_by(HIGH) {
                let queries = Six { block, first, high: HIGH.min(count - first) };
                ahead.step();
                score::<N, R>(&sequence, room, queries, count);
                for row in first..first + queries.high {
                    weigh::<N, R>(&mut sequence, known, room, head, queries, row, of_bias);
                }
                let (into, stride) = output.of_queries(block + first, head);
                put_of_queries::<N, R>(&sequence, room, head, queries, count, into, stride);
            }
            sum_of_keys_and_values::<N, R>(&sequence, room, block, count);
        }
        output.put_of_keys_and_values(head, &room.of_keys, &room.of_values);
    }
}

/// Scores, and products of the gradient with the values. // [HIGH, step]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn score<N: Number, R: Registers>(sequence: &Sequence<'_, N>, room: &mut Backward, queries: Six, count: usize) {
    let (width, step, across) = (sequence.width, sequence.step(), sequence.across(queries.last()));
    let rows = queries.first * step..;
    for (left, right, into) in [
        (&room.queries, &room.turned_keys, &mut room.weights[rows.clone()]),
        (&room.of_found, &room.turned_values, &mut room.of_scores[rows]),
    ] {
        let left = six(left, queries.first, count, width);
        let right = Columns { numbers: right, step, column: 0 };
        rows_times::<_, R>(&left, width, right, across, &[1.0; HIGH], HIGH, into, step);
    }
}

/// A query's scores become its probabilities, and products of its gradient with the values become the scores' gradient,
/// which is added to that of the bias.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weigh<N: Number, R: Registers>(
    sequence: &mut Sequence<'_, N>,
    known: &Known<'_, N>,
    room: &mut Backward,
    head: usize,
    queries: Six,
    row: usize,
    of_bias: &mut [f32],
) {
    let (step, query, across) = (sequence.step(), queries.block + row, sequence.across(queries.last()));
    let factors = factors(&mut sequence.decisions, head, across, &mut room.factors);
    let known = known.row(sequence, head, query, factors);
    let of_scores = &mut room.of_scores[row * step..][..across];
    harden::<R>(&known, &mut room.weights[row * step..][..across], of_scores);
    add_to_bias(sequence, head, query, of_scores, of_bias);
}

/// Adds gradients of a query's scores to those of the bias, where these are wanted.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn add_to_bias<N: Number>(
    sequence: &Sequence<'_, N>,
    head: usize,
    query: usize,
    of_scores: &[f32],
    of_bias: &mut [f32],
) {
    if let Some(bias) = sequence.bias.filter(|_| !of_bias.is_empty()) {
        let at = head * of_bias.len() / sequence.heads + sequence.place(query) * bias.width();
        add_to(&mut of_bias[at..][..of_scores.len()], of_scores);
    }
}

/// `∂q = ∂s k`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn put_of_queries<N: Number, R: Registers>(
    sequence: &Sequence<'_, N>,
    room: &Backward,
    head: usize,
    queries: Six,
    count: usize,
    into: &mut [N],
    stride: usize,
) {
    let (width, step) = (sequence.width, sequence.step());
    let of_scores = six(&room.of_scores, queries.first, count, step);
    let keys = Columns { numbers: &room.keys, step: width, column: head * step * width };
    let seen = sequence.seen(queries.last());
    rows_times::<_, R>(&of_scores, seen, keys, width, &[1.0; HIGH], queries.high, into, stride);
}

/// `∂v = pᵀ g` and `∂k = ∂sᵀ q` of a block, six keys at a time, onto what the blocks before gave.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_of_keys_and_values<N: Number, R: Registers>(
    sequence: &Sequence<'_, N>,
    room: &mut Backward,
    block: usize,
    count: usize,
) {
    let (width, step, seen) = (sequence.width, sequence.step(), sequence.seen(block + count - 1));
    let onto = if block == 0 { Onto::Anything } else { Onto::Sums };
    for (scores, rows, into) in
        [(&room.weights, &room.of_found, &mut room.of_values), (&room.of_scores, &room.queries, &mut room.of_keys)]
    {
        for key in (0..seen).step_by(HIGH) {
            let from = sequence.first_to_see(key, block, count, HIGH);
            let scores = Columns { numbers: scores, step, column: from * step + key };
            let rows = Columns { numbers: rows, step: width, column: from * width };
            columns_times::<R>(scores, rows, count - from, width, onto, &mut into[key * width..], width);
        }
        if block == 0 {
            into[seen.next_multiple_of(HIGH) * width..].fill(0.0);
        }
    }
}
