//! What queries find: softmax(q kᵀ + bias) v.

use super::{across, step};
use crate::attention::sequence::{Sequence, factors};
use crate::attention::softmax::soften;
use crate::floats::Ahead;
use crate::matrices::{DEEP, HIGH, Left, Matrices, Right, pairs, product, put, rounded, rows, turned};
use crate::number::Number;
use crate::registers::Sixteen;
use crate::tiles::{Onto, WIDE};
use half::bf16;

/// Room for a sequence's forward pass, head by head.
#[derive(Default)]
pub struct Forward {
    rows: Vec<bf16>,    // [keys, width]
    queries: Vec<bf16>, // [queries, width]
    keys: Vec<bf16>,    // kᵀ, a right factor
    values: Vec<bf16>,  // a right factor
    scores: Vec<f32>,   // [HIGH, step]
    factors: Vec<f32>,  // [step]
    weights: Vec<bf16>, // [HIGH, step]
    found: Vec<f32>,    // [HIGH, width]
}

/// As [`forward::pass`](crate::attention::forward::pass).
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn pass<N: Number>(
    matrices: &Matrices,
    mut sequence: Sequence<'_, N>,
    room: &mut Forward,
    ahead: &mut Ahead<'_, N>,
    found: &mut [N],
    normalisers: &mut [f32],
) {
    let (heads, width, queries, keys) = (sequence.heads, sequence.width, sequence.queries.count, sequence.keys.count);
    let step = step(&sequence);
    room.scores.resize(HIGH * step, 0.0);
    room.weights.resize(HIGH * step, bf16::ZERO);
    room.found.resize(HIGH * width, 0.0);
    for head in 0..heads {
        let columns = head * width..(head + 1) * width;
        rows(sequence.keys.columns(&columns), keys.next_multiple_of(HIGH), &mut room.rows);
        turned(&room.rows, width, &mut room.keys);
        rows(sequence.values.columns(&columns), step, &mut room.rows);
        pairs(&room.rows, width, &mut room.values);
        rows(sequence.queries.columns(&columns), queries.next_multiple_of(HIGH), &mut room.queries);
        for first in (0..queries).step_by(HIGH) {
            let high = HIGH.min(queries - first);
            ahead.step();
            let across = across(&sequence, first + high - 1);
            let left = Left { numbers: &room.queries[first * width..], row: width, step: DEEP };
            let right = Right { numbers: &room.keys, across: keys.div_ceil(WIDE) };
            product(matrices, left, right, width / DEEP, across, Onto::Anything, &mut room.scores, step);
            let scale = weigh(&mut sequence, room, head, first..first + high, across, normalisers);
            let left = Left { numbers: &room.weights, row: step, step: DEEP };
            let right = Right { numbers: &room.values, across: width / WIDE };
            let steps = across.div_ceil(DEEP);
            product(matrices, left, right, steps, width, Onto::Anything, &mut room.found, width);
            for (row, scale) in scale[..high].iter().enumerate() {
                let into = &mut found[(first + row) * heads * width + columns.start..][..width];
                put(&room.found[row * width..][..width], *scale, into);
            }
        }
    }
}

/// Scores of some queries become rounded exponentials in the room; gives one over their sums.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn weigh<N: Number>(
    sequence: &mut Sequence<'_, N>,
    room: &mut Forward,
    head: usize,
    queries: std::ops::Range<usize>,
    across: usize,
    normalisers: &mut [f32],
) -> [f32; HIGH] {
    let (step, mut scale) = (step(sequence), [0.0; HIGH]);
    for (row, query) in queries.enumerate() {
        let scores = &mut room.scores[row * step..][..across];
        let (most, total) = soften::<Sixteen>(scores, sequence.bias(head, query), sequence.seen(query));
        scale[row] = 1.0 / total;
        normalisers[(query * sequence.heads + head) * 2..][..2].copy_from_slice(&[most, scale[row]]);
        if let Some(factors) = factors(&mut sequence.decisions, head, across, &mut room.factors) {
            scores.iter_mut().zip(factors).for_each(|(score, factor)| *score *= factor);
        }
        rounded(scores, &mut room.weights[row * step..][..step]);
    }
    scale
}
