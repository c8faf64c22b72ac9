//! Gradients of what queries found, with the probabilities computed anew from the scores and their normalisers.
//!
//! With p = softmax(q kᵀ + bias), o = p v and g the gradient of o: ∂v = pᵀ g; ∂s = p ⊙ (g vᵀ - g·o); ∂q = ∂s k;
//! ∂k = ∂sᵀ q; ∂bias = ∂s. Dropout m stands between p and v: o = (p ⊙ m) v, ∂v = (p ⊙ m)ᵀ g, ∂s = p ⊙ (m ⊙ g vᵀ - g·o).

use super::sequence::{BLOCK, Sequence, biased, gather, six, turn};
use crate::floats::{Ahead, Block};
use crate::lanes::{LANES, dot, exponential, load, store};
use crate::number::Number;
use crate::tiles::{Columns, HIGH, Registers, WIDE, add_columns_times, rows_times};
use std::arch::x86_64::{_mm256_add_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_sub_ps};
use std::ops::Range;

/// Room for one sequence's backward pass, and what it finds for keys and values.
#[derive(Default)]
pub struct Backward {
    keys: Vec<f32>,          // [heads, step, width]
    turned_keys: Vec<f32>,   // [heads, width, step]
    turned_values: Vec<f32>, // [heads, width, step]
    queries: Vec<f32>,       // [heads, block, width]
    of_found: Vec<f32>,      // [heads, block, width]
    weights: Vec<f32>,       // [block, step]
    of_scores: Vec<f32>,     // [block, step]
    factors: Vec<f32>,       // [step]
    /// Gradients of the keys. // [heads, step, width]
    pub of_keys: Vec<f32>,
    /// Gradients of the values. // [heads, step, width]
    pub of_values: Vec<f32>,
}

/// What is known of a sequence's result.
pub struct Known<'a, N> {
    pub found: Block<'a, N>,    // [queries, heads * width]
    pub of_found: Block<'a, N>, // [queries, heads * width]
    /// Largest score and one over the sum of exponentials.
    pub normalisers: &'a [f32], // [queries, heads, 2]
}

/// A place in a block: which head, the block's first query, how many it has.
#[derive(Clone, Copy)]
struct Place {
    head: usize,
    first: usize,
    count: usize,
}

/// Writes the gradient of the queries to rows of `stride`, head by head; leaves those of keys and values in the room, with
/// as many rows a head as scores have columns; and adds that of the bias to `of_bias`, laid out as the bias.
#[target_feature(enable = "avx2,fma")]
pub fn pass<N: Number, R: Registers>(
    mut sequence: Sequence<'_, N>,
    known: &Known<'_, N>,
    room: &mut Backward,
    ahead: &mut Ahead<'_, N>,
    of_queries: &mut [N],
    stride: usize,
    of_bias: &mut [f32],
) {
    let (heads, width, step) = (sequence.heads, sequence.width, sequence.step());
    for (block, turned) in [(sequence.values, &mut room.turned_values), (sequence.keys, &mut room.turned_keys)] {
        gather(block, width, step, &mut room.keys);
        turn(&room.keys, step, width, step, turned);
    }
    for sums in [&mut room.of_keys, &mut room.of_values] {
        sums.clear();
        sums.resize(heads * step * width, 0.0);
    }
    for first in (0..sequence.queries.count).step_by(BLOCK) {
        let count = BLOCK.min(sequence.queries.count - first);
        gather(sequence.queries.rows(first, count), width, count, &mut room.queries);
        gather(known.of_found.rows(first, count), width, count, &mut room.of_found);
        for scores in [&mut room.weights, &mut room.of_scores] {
            scores.resize(count.next_multiple_of(HIGH) * step, 0.0);
        }
        for head in 0..heads {
            let place = Place { head, first, count };
            for offset in (0..count).step_by(HIGH) {
                let rows = offset..(offset + HIGH).min(count);
                ahead.step();
                score::<N, R>(&sequence, room, place, rows.clone());
                for row in rows.clone() {
                    weigh(&mut sequence, known, room, place, rows.end, row, of_bias);
                }
                let of_queries = &mut of_queries[(first + offset) * stride + head * width..];
                put_of_queries::<N, R>(&sequence, room, place, rows, of_queries, stride);
            }
            add_of_keys_and_values::<N, R>(&sequence, room, place);
        }
    }
}

/// Scores, and products of the gradient with the values, of up to six of the block's queries. // [HIGH, step]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn score<N: Number, R: Registers>(
    sequence: &Sequence<'_, N>,
    room: &mut Backward,
    Place { head, first, count }: Place,
    rows: Range<usize>,
) {
    let (width, step) = (sequence.width, sequence.step());
    let queries = six(&room.queries[head * count * width..], rows.start, count, width);
    let of_found = six(&room.of_found[head * count * width..], rows.start, count, width);
    let turned = head * width * step..(head + 1) * width * step;
    let (keys, values) = (&room.turned_keys[turned.clone()], &room.turned_values[turned]);
    for column in (0..sequence.across(first + rows.end - 1)).step_by(WIDE) {
        let at = rows.start * step + column;
        let columns = |numbers| Columns { numbers, step, column };
        rows_times::<_, R>(&queries, width, columns(keys), &[1.0; HIGH], HIGH, &mut room.weights[at..], step);
        rows_times::<_, R>(&of_found, width, columns(values), &[1.0; HIGH], HIGH, &mut room.of_scores[at..], step);
    }
}

/// A query's scores become its probabilities, and products of its gradient with the values become the scores' gradient.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weigh<N: Number>(
    sequence: &mut Sequence<'_, N>,
    known: &Known<'_, N>,
    room: &mut Backward,
    Place { head, first, .. }: Place,
    end: usize,
    row: usize,
    of_bias: &mut [f32],
) {
    let (heads, width, step, query) = (sequence.heads, sequence.width, sequence.step(), first + row);
    let across = sequence.across(first + end - 1);
    let weights = &mut room.weights[row * step..][..across];
    let of_scores = &mut room.of_scores[row * step..][..across];
    let normalisers = &known.normalisers[(query * heads + head) * 2..][..2];
    let (most, scale) = (_mm256_set1_ps(normalisers[0]), _mm256_set1_ps(normalisers[1]));
    let columns = head * width..(head + 1) * width;
    let common = _mm256_set1_ps(dot(&known.found.row(query)[columns.clone()], &known.of_found.row(query)[columns]));
    let (seen, bias) = (sequence.seen(query), sequence.bias(head, query));
    let dropping = sequence.decisions.get_mut(head).map(|decisions| {
        room.factors.resize(across, 0.0);
        decisions.fill(&mut room.factors);
        &room.factors[..]
    });
    for place in (0..across).step_by(LANES) {
        let score = biased(weights, bias, place, seen);
        let weight = _mm256_mul_ps(exponential(_mm256_sub_ps(score, most)), scale);
        let (mut kept, mut of_weight) = (weight, load(&of_scores[place..]));
        if let Some(factors) = dropping {
            let factors = load(&factors[place..]);
            (kept, of_weight) = (_mm256_mul_ps(kept, factors), _mm256_mul_ps(of_weight, factors));
        }
        store(&mut weights[place..], kept);
        store(&mut of_scores[place..], _mm256_mul_ps(weight, _mm256_sub_ps(of_weight, common)));
    }
    if let Some(bias) = sequence.bias.filter(|_| !of_bias.is_empty()) {
        let at = head * of_bias.len() / heads + sequence.place(query) * bias.width();
        let sums = &mut of_bias[at..][..across];
        for place in (0..across).step_by(LANES) {
            let sums = &mut sums[place..];
            store(sums, _mm256_add_ps(load(sums), load(&of_scores[place..])));
        }
    }
}

/// `∂q = ∂s k` of up to six of the block's queries.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn put_of_queries<N: Number, R: Registers>(
    sequence: &Sequence<'_, N>,
    room: &Backward,
    Place { head, first, count }: Place,
    rows: Range<usize>,
    into: &mut [N],
    stride: usize,
) {
    let (width, step) = (sequence.width, sequence.step());
    let of_scores = six(&room.of_scores, rows.start, count, step);
    let numbers = &room.keys[head * step * width..];
    let seen = sequence.seen(first + rows.end - 1);
    for column in (0..width).step_by(WIDE) {
        let keys = Columns { numbers, step: width, column };
        rows_times::<_, R>(&of_scores, seen, keys, &[1.0; HIGH], rows.len(), &mut into[column..], stride);
    }
}

/// Adds a block's part of `∂v = pᵀ g` and `∂k = ∂sᵀ q`, six keys at a time.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_of_keys_and_values<N: Number, R: Registers>(
    sequence: &Sequence<'_, N>,
    room: &mut Backward,
    Place { head, first, count }: Place,
) {
    let (width, step) = (sequence.width, sequence.step());
    let queries = head * count * width..(head + 1) * count * width;
    let (of_found, queries) = (&room.of_found[queries.clone()], &room.queries[queries]);
    for key in (0..sequence.seen(first + count - 1)).step_by(HIGH) {
        let from = sequence.first_to_see(key, first, count);
        let scores = |numbers| Columns { numbers, step, column: from * step + key };
        for column in (0..width).step_by(WIDE) {
            let at = (head * step + key) * width + column;
            let rows = |numbers| Columns { numbers, step: width, column: from * width + column };
            let (weights, of_scores) = (scores(&room.weights), scores(&room.of_scores));
            add_columns_times::<R>(weights, rows(of_found), count - from, &mut room.of_values[at..], width);
            add_columns_times::<R>(of_scores, rows(queries), count - from, &mut room.of_keys[at..], width);
        }
    }
}
