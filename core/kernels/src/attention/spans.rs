//! Where sequences lie in the rows of a tensor.

use std::ops::Range;
use std::sync::Arc;

/// Sequences one after the other, perhaps with rows between them that belong to none. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    of: Arc<[Range<usize>]>,
    rows: usize,
}

impl Spans {
    /// Sequences of these lengths, side by side.
    pub fn packed(lengths: &[usize]) -> Self {
        let mut end = 0;
        let of = lengths.iter().map(|length| {
            end += length;
            end - length..end
        });
        let of: Arc<[Range<usize>]> = of.collect();
        Self { of, rows: end }
    }

    /// Sequences of these lengths at the beginnings of `time` rows each.
    ///
    /// # Panics
    /// A length is beyond `time`.
    pub fn padded(lengths: &[usize], time: usize) -> Self {
        assert!(lengths.iter().all(|&length| length <= time), "a sequence is longer than its {time} rows");
        let of = lengths.iter().enumerate().map(|(index, length)| index * time..index * time + length);
        Self { of: of.collect(), rows: lengths.len() * time }
    }

    /// Sequences.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Rows of a tensor that holds them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of one sequence.
    pub fn of(&self, sequence: usize) -> Range<usize> {
        self.of[sequence].clone()
    }

    /// Length of the longest.
    pub fn longest(&self) -> usize {
        self.of.iter().map(ExactSizeIterator::len).max().unwrap_or(0)
    }

    /// The row that a part from this sequence on begins with; the first begins at 0, one past the last at the end.
    pub(crate) fn boundary(&self, sequence: usize) -> usize {
        match sequence {
            0 => 0,
            _ => self.of.get(sequence).map_or(self.rows, |span| span.start),
        }
    }
}
