//! Where a part's gradients are written, sequence by sequence and head by head.

use super::spans::Spans;
use super::whole::Plan;
use crate::floats::Part;
use crate::number::Number;
use std::ops::Range;

/// Rows of a part's gradients.
pub struct Output<'a, N> {
    plan: &'a Plan,
    of_queries: Part<'a, N>,
    /// Absent where keys and values lie in the queries' rows.
    of_others: Option<Part<'a, N>>,
    /// Numbers of a row of queries, and of one of keys and values.
    strides: [usize; 2],
    shared: SharedRow,
    /// Rows of the sequence that is worked on: its queries and its own keys.
    queries: Range<usize>,
    keys: Range<usize>,
}

/// The gradient of a row that sequences share, summed in float32 before it is written.
#[derive(Default)]
struct SharedRow {
    row: Option<usize>,
    /// Of its keys, and of its values. // [heads * width] each
    sums: [Vec<f32>; 2],
}

impl<'a, N: Number> Output<'a, N> {
    /// Rows of as many numbers as `strides` says, of queries and of keys and values.
    pub fn new(plan: &'a Plan, of_queries: Part<'a, N>, of_others: Option<Part<'a, N>>, strides: [usize; 2]) -> Self {
        let inner = plan.heads * plan.width;
        let shared = SharedRow { row: None, sums: [vec![0.0; inner], vec![0.0; inner]] };
        Self { plan, of_queries, of_others, strides, shared, queries: 0..0, keys: 0..0 }
    }

    /// Goes on with a sequence.
    #[target_feature(enable = "avx2,fma")]
    pub fn go_on(&mut self, sequence: usize) {
        let Plan { from, to, .. }: &Plan = self.plan;
        let row = Spans::shared(to, sequence);
        if row != self.shared.row {
            self.end();
            self.shared.row = row;
        }
        (self.queries, self.keys) = (from.of(sequence), to.of(sequence));
    }

    /// A head's gradients of the queries from one on, and how far apart they are.
    pub fn of_queries(&mut self, query: usize, head: usize) -> (&mut [N], usize) {
        let (row, stride) = (self.queries.start + query - self.of_queries.first, self.strides[0]);
        (&mut self.of_queries.numbers[row * stride + self.plan.columns[0] + head * self.plan.width..], stride)
    }

    /// Writes a head's gradients of keys and values, those of a shared row first if there is one. // [keys, width] and more
    #[target_feature(enable = "avx2,fma")]
    pub fn put_of_keys_and_values(&mut self, head: usize, of_keys: &[f32], of_values: &[f32]) {
        let (Plan { width, columns, .. }, stride) = (self.plan, self.strides[1]);
        let shares = self.shared.row.is_some();
        for (numbers, (column, sums)) in
            [of_keys, of_values].into_iter().zip(columns[1..].iter().zip(&mut self.shared.sums))
        {
            let (first, own) = numbers.split_at(if shares { *width } else { 0 });
            sums[head * width..].iter_mut().zip(first).for_each(|(sum, first)| *sum += first);
            let of_others = self.of_others.as_mut().unwrap_or(&mut self.of_queries);
            of_others.put(own, self.keys.clone(), column + head * width, stride, *width);
        }
    }

    /// Adds the sums of a shared row to its gradient, which its own sequence has written.
    #[target_feature(enable = "avx2,fma")]
    pub fn end(&mut self) {
        let Some(row) = self.shared.row.take() else { return };
        let of_others = self.of_others.as_mut().unwrap_or(&mut self.of_queries);
        for (sums, column) in self.shared.sums.iter_mut().zip(&self.plan.columns[1..]) {
            of_others.add(sums, row, *column, self.strides[1]);
            sums.fill(0.0);
        }
    }
}
