//! What queries find: softmax(q kᵀ + bias) v, six queries at a time, so that no scores leave the first cache.

use super::sequence::{BLOCK, Sequence, biased, gather, six, turn};
use crate::floats::Ahead;
use crate::lanes::{LANES, exponential, largest, load, store, sum};
use crate::number::Number;
use crate::tiles::{Columns, HIGH, Registers, WIDE, rows_times};
use std::arch::x86_64::{_mm256_add_ps, _mm256_max_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps};
use std::ops::Range;

/// Room for one sequence's forward pass.
#[derive(Default)]
pub struct Forward {
    rows: Vec<f32>,    // [heads, keys and a few, width]
    keys: Vec<f32>,    // [heads, width, step], turned
    values: Vec<f32>,  // [heads, keys, width]
    queries: Vec<f32>, // [heads, block, width]
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
    let padded = sequence.keys.count.next_multiple_of(WIDE);
    gather(sequence.keys, width, padded, &mut room.rows);
    turn(&room.rows, padded, width, step, &mut room.keys);
    gather(sequence.values, width, sequence.keys.count, &mut room.values);
    room.scores.resize(HIGH * step, 0.0);
    for first in (0..sequence.queries.count).step_by(BLOCK) {
        let count = BLOCK.min(sequence.queries.count - first);
        gather(sequence.queries.rows(first, count), width, count, &mut room.queries);
        for head in 0..heads {
            for offset in (0..count).step_by(HIGH) {
                let rows = offset..(offset + HIGH).min(count);
                ahead.step();
                let scale = weigh::<N, R>(&mut sequence, room, head, first, rows.clone(), count, normalisers);
                let seen = sequence.seen(first + rows.end - 1);
                let weights = six(&room.scores, 0, rows.len(), step);
                let numbers = &room.values[head * sequence.keys.count * width..];
                for column in (0..width).step_by(WIDE) {
                    let found = &mut found[((first + offset) * heads + head) * width + column..];
                    let values = Columns { numbers, step: width, column };
                    rows_times::<_, R>(&weights, seen, values, &scale, rows.len(), found, heads * width);
                }
            }
        }
    }
}

/// Leaves exponentials of the scores of some of the block's queries in the room; gives one over their sums.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weigh<N: Number, R: Registers>(
    sequence: &mut Sequence<'_, N>,
    room: &mut Forward,
    head: usize,
    first: usize,
    rows: Range<usize>,
    count: usize,
    normalisers: &mut [f32],
) -> [f32; HIGH] {
    let (width, step) = (sequence.width, sequence.step());
    let queries = six(&room.queries[head * count * width..], rows.start, count, width);
    let keys = &room.keys[head * width * step..][..width * step];
    let across = sequence.across(first + rows.end - 1);
    for column in (0..across).step_by(WIDE) {
        let keys = Columns { numbers: keys, step, column };
        rows_times::<_, R>(&queries, width, keys, &[1.0; HIGH], HIGH, &mut room.scores[column..], step);
    }
    let mut scale = [0.0; HIGH];
    for (row, scale) in rows.zip(&mut scale).enumerate().map(|(row, (query, scale))| ((row, first + query), scale)) {
        let (row, query) = row;
        let scores = &mut room.scores[row * step..][..across];
        let (most, total) = soften(scores, sequence.bias(head, query), sequence.seen(query));
        *scale = 1.0 / total;
        normalisers[(query * sequence.heads + head) * 2..][..2].copy_from_slice(&[most, *scale]);
        if let Some(decisions) = sequence.decisions.get_mut(head) {
            room.factors.resize(scores.len(), 0.0);
            decisions.fill(&mut room.factors);
            scores.iter_mut().zip(&room.factors).for_each(|(score, factor)| *score *= factor);
        }
    }
    scale
}

/// A row of scores becomes exponentials of what they are less than the largest; gives that and the sum.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn soften(scores: &mut [f32], bias: Option<&[f32]>, seen: usize) -> (f32, f32) {
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
