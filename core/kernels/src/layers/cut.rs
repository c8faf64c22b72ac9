//! Rows in chunks, which go through a layer together, and chunks in parts, which threads take one by one.

use crate::threads::threads;
use crate::tiles::HIGH;

/// Rows whose numbers stay near the processor from one product to the next: whole tiles.
const CHUNK: usize = 16 * HIGH;

/// Chunks are a multiple of this, so that a small machine's threads have as many each.
const CHUNKS: usize = 4;

/// Parts a thread: one that is held up leaves the rest to others.
const A_THREAD: usize = 4;

/// Rows that are worth a part of their own where each part has sums of its own.
pub const WORTH_SUMS: usize = 640;

/// How rows are cut.
#[derive(Clone, Copy)]
pub struct Cut {
    /// Rows of a chunk, the same whatever the number of threads.
    pub chunk: usize,
    /// Rows of a part, whole chunks.
    pub part: usize,
}

impl Cut {
    /// Cuts rows into parts of `least` rows and more.
    pub fn of(rows: usize, least: usize) -> Self {
        let chunks = rows.div_ceil(CHUNK).max(1).next_multiple_of(CHUNKS);
        let chunk = rows.div_ceil(chunks).next_multiple_of(HIGH).clamp(2 * HIGH, CHUNK);
        // No thread is left without work for the sake of sums.
        let parts = (rows / least.max(chunk)).max(threads().min(rows / (2 * chunk))).clamp(1, A_THREAD * threads());
        Self { chunk, part: rows.div_ceil(parts).max(1).next_multiple_of(chunk) }
    }

    /// Number of the first chunk of a part.
    pub fn first_chunk(self, part: usize) -> usize {
        part * self.part / self.chunk
    }
}
