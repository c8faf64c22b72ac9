//! What queries find: softmax(q kᵀ + bias) v, six queries at a time, so that no scores leave the first cache.

use super::sequence::{Sequence, factors, gather, six, turn};
use super::softmax::soften;
use crate::floats::Ahead;
use crate::number::Number;
use crate::registers::Registers;
use crate::tiles::{Columns, HIGH, WIDE, rows_times};

/// Room for a sequence's forward pass, head by head.
#[derive(Default)]
pub struct Forward {
    keys: Vec<f32>,    // [heads, keys and a few, width]
    turned: Vec<f32>,  // a head's keys: [width, step]
    values: Vec<f32>,  // [heads, keys, width]
    queries: Vec<f32>, // [HIGH, width]
    /// For scores. // [HIGH, step]
    pub scores: Vec<f32>,
    factors: Vec<f32>, // [step]
}

/// Writes what every head finds, `[queries, heads * width]`, and the two numbers that make a query's scores probabilities:
/// the largest score, and one over the sum of exponentials of the scores less it, `[queries, heads, 2]`.
#[target_feature(enable = "avx2,fma")]
pub fn pass<N: Number, R: Registers>(
    mut sequence: Sequence<'_, N>,
    room: &mut Forward,
    ahead: &mut Ahead<'_, N>,
    found: &mut [N],
    normalisers: &mut [f32],
) {
    let (heads, width, step) = (sequence.heads, sequence.width, sequence.step());
    room.scores.resize(HIGH * step, 0.0);
    let (count, padded) = (sequence.keys.count, sequence.keys.count.next_multiple_of(WIDE));
    gather(sequence.keys, width, padded, &mut room.keys);
    gather(sequence.values, width, count, &mut room.values);
    for head in 0..heads {
        let columns = head * width..(head + 1) * width;
        turn(&room.keys[head * padded * width..], padded, width, step, &mut room.turned);
        for first in (0..sequence.queries.count).step_by(HIGH) {
            let high = HIGH.min(sequence.queries.count - first);
            ahead.step();
            gather(sequence.queries.columns(&columns).rows(first, high), width, high, &mut room.queries);
            let scale = weigh::<N, R>(&mut sequence, room, head, first, high, normalisers);
            let seen = sequence.seen(first + high - 1);
            let weights = six(&room.scores, 0, high, step);
            let found = &mut found[first * heads * width + columns.start..];
            let values = Columns { numbers: &room.values, step: width, column: head * count * width };
            rows_times::<_, R>(&weights, seen, values, width, &scale, high, found, heads * width);
        }
    }
}

/// Leaves exponentials of the scores of up to six queries in the room; gives one over their sums.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weigh<N: Number, R: Registers>(
    sequence: &mut Sequence<'_, N>,
    room: &mut Forward,
    head: usize,
    first: usize,
    high: usize,
    normalisers: &mut [f32],
) -> [f32; HIGH] {
    let (width, step) = (sequence.width, sequence.step());
    let across = sequence.across(first + high - 1);
    let queries = six(&room.queries, 0, high, width);
    let keys = Columns { numbers: &room.turned, step, column: 0 };
    rows_times::<_, R>(&queries, width, keys, across, &[1.0; HIGH], HIGH, &mut room.scores, step);
    let mut scale = [0.0; HIGH];
    for (row, scale) in scale[..high].iter_mut().enumerate() {
        let query = first + row;
        let scores = &mut room.scores[row * step..][..across];
        let (most, total) = soften::<R>(scores, sequence.bias(head, query), sequence.seen(query));
        *scale = 1.0 / total;
        normalisers[(query * sequence.heads + head) * 2..][..2].copy_from_slice(&[most, *scale]);
        if let Some(factors) = factors(&mut sequence.decisions, head, across, &mut room.factors) {
            scores.iter_mut().zip(factors).for_each(|(score, factor)| *score *= factor);
        }
    }
    scale
}
