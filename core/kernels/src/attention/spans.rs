//! Where sequences lie in the rows of a tensor.

use std::ops::Range;
use std::sync::Arc;

/// Sequences one after the other, perhaps with rows between them that belong to none. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    of: Arc<[Range<usize>]>,
    rows: usize,
    /// The row that each begins with, if that is another's; empty where none has one.
    shared: Arc<[Option<usize>]>,
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
        Self { of, rows: end, shared: Arc::default() }
    }

    /// Sequences of these lengths at the beginnings of `time` rows each.
    ///
    /// # Panics
    /// A length is beyond `time`.
    pub fn padded(lengths: &[usize], time: usize) -> Self {
        assert!(lengths.iter().all(|&length| length <= time), "a sequence is longer than its {time} rows");
        let of = lengths.iter().enumerate().map(|(index, length)| index * time..index * time + length);
        Self { of: of.collect(), rows: lengths.len() * time, shared: Arc::default() }
    }

    /// The same sequences where some begin with a row that they share: each of those follows the sequence of that row, with
    /// none in between that does not share it, and its own rows come after it.
    ///
    /// # Panics
    /// There are not as many sequences, or a row that one begins with is not one of the sequence before those that share it.
    #[must_use]
    pub fn beginning_with(self, shared: &[Option<usize>]) -> Self {
        assert_eq!(shared.len(), self.len(), "a row, or none, for every sequence");
        let mut before = 0..0;
        for (span, shared) in self.of.iter().zip(shared) {
            match shared {
                None => before = span.clone(),
                Some(row) => assert!(before.contains(row), "row {row} is not of the sequence before, {before:?}"),
            }
        }
        Self { shared: shared.into(), ..self }
    }

    /// The row that a sequence begins with, if it is another's.
    pub(crate) fn shared(&self, sequence: usize) -> Option<usize> {
        self.shared.get(sequence).copied().flatten()
    }

    /// Rows of a sequence with the one that it begins with.
    pub(crate) fn length(&self, sequence: usize) -> usize {
        self.of[sequence].len() + usize::from(self.shared(sequence).is_some())
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

    /// The rows of one sequence, without one that it shares.
    pub fn of(&self, sequence: usize) -> Range<usize> {
        self.of[sequence].clone()
    }

    /// Length of the longest.
    pub fn longest(&self) -> usize {
        (0..self.len()).map(|sequence| self.length(sequence)).max().unwrap_or(0)
    }

    /// The row that a part from this sequence on begins with; the first begins at 0, one past the last at the end.
    pub(crate) fn boundary(&self, sequence: usize) -> usize {
        match sequence {
            0 => 0,
            _ => self.of.get(sequence).map_or(self.rows, |span| span.start),
        }
    }
}
