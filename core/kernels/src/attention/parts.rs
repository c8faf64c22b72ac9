//! A call's sequences in parts, a few a thread: one that is held up leaves the rest to others.
//!
//! Parts follow from the sizes alone, so that sums over sequences come out the same in every run with as many threads.

use super::spans::Spans;
use crate::floats::Part;
use crate::tiles::HIGH;
use std::ops::Range;

/// Products and sums that are worth a part: what it takes to start a thread, many times over.
const WORTH_A_PART: usize = 4_000_000;

/// Parts of a thread.
const A_THREAD: usize = 4;

/// To lay out a key and a value takes as long as these many queries look at them.
const LAYING_OUT: usize = 10;

/// Cuts sequences into parts of about the same work, `width` numbers for every query and key.
pub fn parts(from: &Spans, to: &Spans, width: usize, threads: usize) -> Vec<Range<usize>> {
    // Queries are worked on by whole tiles.
    let looks = |queries: usize| if queries == 0 { 0 } else { queries.next_multiple_of(HIGH) + LAYING_OUT };
    let work = |sequence| looks(from.of(sequence).len()) * to.length(sequence) * width;
    let total: usize = (0..from.len()).map(work).sum();
    let count = (A_THREAD * threads).min(total / WORTH_A_PART).max(1);
    let (mut parts, mut begin, mut done) = (Vec::with_capacity(count), 0, 0);
    for sequence in 0..from.len() {
        done += work(sequence);
        // Those that share a row are worked on by one thread, which sums its gradient.
        let ends = to.shared(sequence + 1).is_none();
        if ends && done * count >= total * (parts.len() + 1) && parts.len() + 1 < count {
            parts.push(begin..sequence + 1);
            begin = sequence + 1;
        }
    }
    parts.push(begin..from.len());
    parts
}

/// Cuts rows of `width` as the sequences are cut.
pub fn split<'a, N>(mut numbers: &'a mut [N], width: usize, spans: &Spans, parts: &[Range<usize>]) -> Vec<Part<'a, N>> {
    let cut = parts.iter().map(|part| {
        let (first, end) = (spans.boundary(part.start), spans.boundary(part.end.max(1)));
        let (here, rest) = std::mem::take(&mut numbers).split_at_mut((end - first) * width);
        numbers = rest;
        Part { first, numbers: here }
    });
    cut.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_sequences_evenly() {
        let lengths: Vec<usize> = (0..300).map(|index| 20 + index % 7 * 10).collect();
        let spans = Spans::packed(&lengths);
        for threads in [1, 2, 3, 7] {
            let parts = parts(&spans, &spans, 256, threads);
            let count = A_THREAD * threads;
            assert_eq!((parts.len(), parts[0].start, parts[count - 1].end), (count, 0, 300));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            let work = |part: &Range<usize>| part.clone().map(|it| lengths[it] * lengths[it]).sum::<usize>();
            let fair = work(&(0..300)) / count;
            assert!(parts.iter().all(|part| work(part).abs_diff(fair) <= 2 * 80 * 80), "{parts:?}");
        }
    }

    #[test]
    fn little_work_stays_on_one_thread() {
        let spans = Spans::packed(&[10, 10]);
        let whole = parts(&spans, &spans, 64, 8);
        assert_eq!((whole.len(), whole[0].clone()), (1, 0..2));
    }

    #[test]
    fn rows_between_sequences_go_to_a_part() {
        let spans = Spans::padded(&[2, 1, 3], 4);
        let mut numbers: Vec<f32> = (0..24).map(|number| number as f32).collect();
        let parts = split(&mut numbers, 2, &spans, &[0..1, 1..3]);
        let seen: Vec<(usize, usize, f32)> =
            parts.iter().map(|part| (part.first, part.numbers.len(), part.numbers[0])).collect();
        assert_eq!(seen, [(0, 8, 0.0), (4, 16, 8.0)]);
    }
}
