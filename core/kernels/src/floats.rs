//! The numbers of a tensor, without a copy.
#![allow(unsafe_code)]

use crate::number::Number;
use crate::registers::in_registers;
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use std::ops::Range;
use tch::{Device, Tensor};

/// Rows of numbers, some distance apart.
#[derive(Clone, Copy)]
pub struct Rows<'a, N = f32> {
    numbers: &'a [N],
    stride: usize,
    width: usize,
}

/// Some columns of some rows that follow one another, or of those and one before that lies elsewhere.
#[derive(Clone, Copy)]
pub struct Block<'a, N = f32> {
    before: Option<&'a [N]>,
    numbers: &'a [N],
    stride: usize,
    width: usize,
    /// Rows.
    pub count: usize,
}

impl<'a, N: Number> Rows<'a, N> {
    /// The rows of `[N, W]` numbers of this kind on the processor, each in one piece.
    pub fn of(tensor: &'a Tensor) -> Self {
        let (size, strides) = (tensor.size(), tensor.stride());
        assert_eq!(
            (tensor.kind(), tensor.device(), size.len()),
            (N::KIND, Device::Cpu, 2),
            "[N, W] of another kind is read"
        );
        assert!(strides[1] == 1 || size[1] == 1, "a row is in one piece");
        let stride = strides[0] as usize;
        let length = if tensor.numel() == 0 { 0 } else { (size[0] as usize - 1) * stride + size[1] as usize };
        if length == 0 {
            return Self { numbers: &[], stride, width: size[1] as usize };
        }
        // SAFETY: the first and the last number of the tensor are `length - 1` apart in one allocation, which `tensor`
        // keeps alive; nothing is written to it in a call of this crate.
        let numbers = unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<N>(), length) };
        Self { numbers, stride, width: size[1] as usize }
    }

    /// Numbers of a row.
    pub fn width(self) -> usize {
        self.width
    }

    /// All numbers of rows without gaps.
    pub fn numbers(self) -> &'a [N] {
        debug_assert_eq!(self.stride, self.width);
        self.numbers
    }

    /// One of `parts` equal parts of rows without gaps.
    pub fn part(self, index: usize, parts: usize) -> &'a [N] {
        let length = self.numbers().len() / parts;
        &self.numbers[index * length..][..length]
    }

    /// The numbers from a row on.
    pub fn from(self, row: usize) -> &'a [N] {
        &self.numbers[row * self.stride..]
    }

    /// All numbers of some rows, those between their parts too.
    pub fn all(self, rows: &Range<usize>) -> &'a [N] {
        let end = (rows.end * self.stride).min(self.numbers.len());
        &self.numbers[(rows.start * self.stride).min(end)..end]
    }

    /// `width` columns from `column` of `count` rows from `first`.
    pub fn block(self, first: usize, count: usize, column: usize, width: usize) -> Block<'a, N> {
        let numbers = if count == 0 { &[] } else { &self.numbers[first * self.stride + column..] };
        Block { before: None, numbers, stride: self.stride, width, count }
    }
}

impl<'a, N: Number> Block<'a, N> {
    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The same rows after one that lies elsewhere, if there is one: as many columns of its numbers.
    pub fn after(self, before: Option<&'a [N]>) -> Self {
        Self { before, count: self.count + usize::from(before.is_some()), ..self }
    }

    /// Some of the columns.
    #[inline]
    pub fn columns(self, columns: &Range<usize>) -> Self {
        let from = |numbers: &'a [N]| numbers.get(columns.start..).unwrap_or_default();
        Self { before: self.before.map(from), numbers: from(self.numbers), width: columns.len(), ..self }
    }

    /// Some of the rows, all of which follow one another.
    pub fn rows(self, first: usize, count: usize) -> Self {
        debug_assert!(self.before.is_none());
        Self { numbers: &self.numbers[first * self.stride..], count, ..self }
    }

    /// One row.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [N] {
        match self.before {
            None => &self.numbers[index * self.stride..][..self.width],
            Some(before) if index == 0 => &before[..self.width],
            Some(_) => &self.numbers[(index - 1) * self.stride..][..self.width],
        }
    }
}

/// Bytes that come from memory together.
const LINE: usize = 64;

/// Numbers that are read next, asked for bit by bit while others are worked on, so that they are near when they are read.
pub struct Ahead<'a, N> {
    pieces: [&'a [N]; 4],
    /// Numbers to ask for at a time, of each piece.
    pace: [usize; 4],
}

impl<'a, N: Number> Ahead<'a, N> {
    /// Pieces that are to be asked for in so many steps.
    pub fn of(pieces: [&'a [N]; 4], steps: usize) -> Self {
        Self { pieces, pace: pieces.map(|piece| piece.len().div_ceil(steps.max(1))) }
    }

    /// Asks for the next of each piece.
    #[inline]
    pub fn step(&mut self) {
        for (piece, pace) in self.pieces.iter_mut().zip(self.pace) {
            let (now, later) = piece.split_at(pace.min(piece.len()));
            *piece = later;
            for line in now.chunks(LINE / size_of::<N>()) {
                // SAFETY: nothing is read or written; the address is that of a number.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
            }
        }
    }
}

/// Cuts numbers into pieces of these lengths, which they are as many as.
pub fn split<N>(mut numbers: &[N], lengths: impl Iterator<Item = usize>) -> Vec<&[N]> {
    lengths.filter_map(|length| numbers.split_off(..length)).collect()
}

/// The same of numbers that are written.
pub fn split_mut<N>(mut numbers: &mut [N], lengths: impl Iterator<Item = usize>) -> Vec<&mut [N]> {
    lengths.filter_map(|length| numbers.split_off_mut(..length)).collect()
}

/// All numbers of a tensor on the processor without gaps.
pub fn numbers_of<N: Number>(tensor: &Tensor) -> &[N] {
    assert!(tensor.kind() == N::KIND && tensor.device() == Device::Cpu && tensor.is_contiguous());
    if tensor.numel() == 0 {
        return &[];
    }
    // SAFETY: contiguous, so `numel` numbers from the first on; nothing is written to them in a call of this crate.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<N>(), tensor.numel()) }
}

/// The numbers of a tensor that this crate has just made and nobody else has seen.
pub fn numbers_of_new<N: Number>(tensor: &mut Tensor) -> &mut [N] {
    assert!(tensor.kind() == N::KIND && tensor.device() == Device::Cpu && tensor.is_contiguous());
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: contiguous, so `numel` numbers from the first on; the exclusive borrow is of the only handle.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<N>(), tensor.numel()) }
}

in_registers! {
    /// Numbers in another kind.
    if numbers.len().is_multiple_of(16);
    pub fn narrow<N: Number>(numbers: &[f32], into: &mut [N]) {
        for (numbers, into) in numbers.chunks_exact(LANES).zip(into.chunks_exact_mut(LANES)) {
            store(into, load(numbers));
        }
    }
}

in_registers! {
    /// Adds numbers to as many sums.
    if numbers.len().is_multiple_of(16);
    pub fn add_to<S: Number, N: Number>(sums: &mut [S], numbers: &[N]) {
        for (sums, numbers) in sums.chunks_exact_mut(LANES).zip(numbers.chunks_exact(LANES)) {
            store(sums, add(load(sums), load(numbers)));
        }
    }
}

/// The rows of a part: the first one's number, and all numbers.
pub struct Part<'a, N> {
    /// Number of the first row.
    pub first: usize,
    /// Numbers of all rows.
    pub numbers: &'a mut [N],
}

impl<N: Number> Part<'_, N> {
    /// Writes rows of `width`, a multiple of 8, into those of `span`, from `column` of `stride` on.
    #[target_feature(enable = "avx2,fma")]
    pub fn put(&mut self, numbers: &[f32], span: Range<usize>, column: usize, stride: usize, width: usize) {
        for (row, numbers) in span.zip(numbers.chunks_exact(width)) {
            let into = &mut self.numbers[(row - self.first) * stride + column..][..width];
            narrow(numbers, into);
        }
    }

    /// Adds to a row of `stride` numbers from `column` on.
    #[target_feature(enable = "avx2,fma")]
    pub fn add(&mut self, numbers: &[f32], row: usize, column: usize, stride: usize) {
        let into = &mut self.numbers[(row - self.first) * stride + column..][..numbers.len()];
        add_to(into, numbers);
    }
}
