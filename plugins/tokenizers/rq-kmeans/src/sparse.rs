//! A sparse matrix: built row by row, multiplied with dense ones.

use prorl_sdk::prelude::*;

/// Entries of a sparse matrix of blocks that stand side by side.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    rows: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f32>,
    width: usize,
}

impl Entries {
    /// Opens a block of `width` columns to the right of what is there.
    pub(crate) fn block(&mut self, width: usize) -> Block<'_> {
        let first = self.width;
        self.width += width;
        Block { entries: self, first }
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The matrix of `rows` rows and its transpose.
    pub(crate) fn matrices(&self, rows: usize) -> (Sparse, Sparse) {
        let (own, other, values) = (&self.rows, &self.columns, &self.values);
        (Sparse::new(rows, own, other, values), Sparse::new(self.width, other, own, values))
    }
}

/// Columns of a sparse matrix that belong together.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    entries: &'a mut Entries,
    first: usize,
}

impl Block<'_> {
    /// Adds a row's entries (column within the block, value), scaled to the given length.
    pub(crate) fn push(&mut self, row: usize, entries: &[(usize, f32)], length: f64) {
        let squares: f64 = entries.iter().map(|&(_, value)| f64::from(value).powi(2)).sum();
        if squares <= 0.0 {
            return;
        }
        let scale = (length / squares.sqrt()) as f32;
        for &(column, value) in entries {
            self.entries.rows.push(row as u32);
            self.entries.columns.push((self.first + column) as u32);
            self.entries.values.push(value * scale);
        }
    }
}

/// A sparse matrix in compressed rows.
#[derive(Debug)]
pub(crate) struct Sparse {
    /// Row `r` has the entries `starts[r]..starts[r + 1]`.
    starts: Vec<usize>,
    /// Column and value.
    entries: Vec<(u32, f32)>,
}

impl Sparse {
    fn new(height: usize, rows: &[u32], columns: &[u32], values: &[f32]) -> Self {
        let mut starts = vec![0; height + 1];
        for &row in rows {
            starts[row as usize + 1] += 1;
        }
        for row in 0..height {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0.0); values.len()];
        for ((&row, &column), &value) in rows.iter().zip(columns).zip(values) {
            let place = &mut next[row as usize];
            entries[*place] = (column, value);
            *place += 1;
        }
        Self { starts, entries }
    }

    /// How many rows there are.
    pub(crate) fn height(&self) -> usize {
        self.starts.len() - 1
    }

    /// The product with a dense matrix; every row is one thread's, so their number does not change it.
    /// // [R, C] × [C, S] → [R, S]
    ///
    /// # Errors
    /// `dense` is not a matrix of 32-bit numbers.
    pub(crate) fn times(&self, dense: &Tensor) -> Result<Tensor> {
        let width = dense.size2()?.1 as usize;
        let dense = Vec::<f32>::try_from(dense.contiguous().view([-1]))?;
        let mut product = vec![0f32; self.height() * width];
        let threads = tch::get_num_threads().max(1) as usize;
        let share = self.height().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            for (piece, results) in product.chunks_mut(share * width).enumerate() {
                let dense = &dense;
                scope.spawn(move || self.rows_times(piece * share, dense, width, results));
            }
        });
        Ok(Tensor::from_slice(&product).view([-1, width as i64]))
    }

    fn rows_times(&self, first: usize, dense: &[f32], width: usize, results: &mut [f32]) {
        for (row, result) in (first..).zip(results.chunks_exact_mut(width)) {
            for &(column, value) in &self.entries[self.starts[row]..self.starts[row + 1]] {
                let start = column as usize * width;
                for (sum, factor) in result.iter_mut().zip(&dense[start..start + width]) {
                    *sum += value * factor;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn blocks_stand_side_by_side_and_the_transpose_mirrors_them() {
        let mut entries = Entries::default();
        entries.block(2).push(2, &[(1, 3.0), (0, 4.0)], 5.0);
        entries.block(1).push(0, &[(0, 7.0)], 1.0);
        let (matrix, transpose) = entries.matrices(3);
        let eye = Tensor::eye(3, (Kind::Float, Device::Cpu));
        let dense = matrix.times(&eye).unwrap();
        let numbers: Vec<f32> = dense.flatten(0, 1).try_into().unwrap();
        assert_eq!(numbers, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 4.0, 3.0, 0.0]);
        assert_eq!(transpose.times(&eye).unwrap(), dense.tr());
    }
}
