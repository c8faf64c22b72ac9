//! One sequence of queries with its keys and values, and how their numbers are laid out for the passes.

use crate::dropping::Decisions;
use crate::floats::{Block, Rows};
use crate::lanes::{LANES, load, store, transposed};
use crate::number::Number;
use crate::tiles::{HIGH, WIDE};
use std::arch::x86_64::__m256;

/// Queries that are worked on at once.
pub const BLOCK: usize = 8 * HIGH;

/// What looks and what is seen; heads lie side by side in every row.
pub struct Sequence<'a, N> {
    pub queries: Block<'a, N>, // [queries, heads * width]
    pub keys: Block<'a, N>,    // [keys, heads * width]
    pub values: Block<'a, N>,  // [keys, heads * width]
    pub heads: usize,
    pub width: usize,
    /// Added to the scores, with room for whole tiles. // [heads * T, step]
    pub bias: Option<Rows<'a>>,
    /// Whether a query sees the keys up to its own place alone.
    pub causal: bool,
    /// The queries' places, ascending, where they do not follow one another.
    pub places: Option<&'a [usize]>, // [queries]
    /// Where the first query is, where they do.
    pub begin: usize,
    /// What is dropped, head by head; empty where nothing is.
    pub decisions: Vec<Decisions>,
}

impl<'a, N: Number> Sequence<'a, N> {
    /// Where a query is.
    pub fn place(&self, query: usize) -> usize {
        self.places.map_or(self.begin + query, |places| places[query])
    }

    /// How many keys a query sees.
    pub fn seen(&self, query: usize) -> usize {
        if self.causal { (self.place(query) + 1).min(self.keys.count) } else { self.keys.count }
    }

    /// How many numbers of a row of scores count where the last of six queries is this: whole tiles, either way, of what
    /// that one sees.
    pub fn across(&self, last: usize) -> usize {
        self.seen(last).next_multiple_of(HIGH).min(self.keys.count).next_multiple_of(WIDE)
    }

    /// The first query of a block's that sees a key, down to whole tiles of `high`; the block has `count` from `first` on.
    pub fn first_to_see(&self, key: usize, first: usize, count: usize, high: usize) -> usize {
        if !self.causal {
            return 0;
        }
        let before = match self.places {
            None => key.saturating_sub(self.begin + first),
            Some(places) => places[first..first + count].partition_point(|&place| place < key),
        };
        before / high * high
    }

    /// The bias of a head's query.
    pub fn bias(&self, head: usize, query: usize) -> Option<&'a [f32]> {
        let place = self.place(query);
        self.bias.map(|bias| &bias.part(head, self.heads)[place * bias.width()..][..bias.width()])
    }

    /// Numbers between rows of scores: whole tiles of columns, and of rows when the scores are turned.
    pub fn step(&self) -> usize {
        let keys = self.keys.count;
        keys.next_multiple_of(WIDE).max(keys.next_multiple_of(HIGH)).next_multiple_of(LANES)
    }
}

/// Rows head by head, in one run over them, with zeros up to `padded` rows. // [heads, padded, width]
#[target_feature(enable = "avx2,fma")]
pub fn gather<N: Number>(block: Block<'_, N>, width: usize, padded: usize, into: &mut Vec<f32>) {
    into.resize(block.width() * padded, 0.0);
    for index in 0..block.count {
        for (head, row) in block.row(index).chunks_exact(width).enumerate() {
            let into = &mut into[(head * padded + index) * width..][..width];
            row.chunks_exact(LANES).zip(into.chunks_exact_mut(LANES)).for_each(|(row, into)| store(into, load(row)));
        }
    }
    for head in into.chunks_exact_mut(padded * width) {
        head[block.count * width..].fill(0.0);
    }
}

/// Rows turned. // [rows, width] to [width, step]; rows are a multiple of LANES
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn turn(numbers: &[f32], rows: usize, width: usize, step: usize, into: &mut Vec<f32>) {
    into.resize(width * step, 0.0);
    for column in (0..width).step_by(LANES) {
        let into = &mut into[column * step..][..LANES * step];
        for place in (0..rows).step_by(LANES) {
            let numbers = &numbers[place * width..][..LANES * width];
            let rows: [__m256; LANES] = std::array::from_fn(|index| load(&numbers[index * width + column..]));
            for (index, row) in transposed(rows).into_iter().enumerate() {
                store(&mut into[index * step + place..], row);
            }
        }
    }
}

/// What a row of probabilities of a head is multiplied by, where some are dropped.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn factors<'a>(
    decisions: &mut [Decisions],
    head: usize,
    count: usize,
    room: &'a mut Vec<f32>,
) -> Option<&'a [f32]> {
    let decisions = decisions.get_mut(head)?;
    room.resize(count, 0.0);
    decisions.fill(room);
    Some(room)
}

/// Six rows of `width` from `first` on; past `count` the last again.
#[inline]
pub fn six(numbers: &[f32], first: usize, count: usize, width: usize) -> [&[f32]; HIGH] {
    let row = |index: usize| &numbers[(first + index).min(count - 1) * width..][..width];
    [row(0), row(1), row(2), row(3), row(4), row(5)]
}
