//! The passes: forward in rows shared out among libtorch's threads, backward in columns, so that no two threads add to the
//! same sum and sums are the same for any number of threads.
#![allow(unsafe_code)]

use crate::floats::{add_to, numbers_of, numbers_of_new};
use crate::number::Number;
use crate::threads::{run, share, threads};
use half::bf16;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// Columns of a part are a multiple of this: whole lines of memory.
const COLUMNS: usize = 32;

/// Rows by their places. // [N, W]
pub fn gather(table: &Tensor, places: &[usize]) -> Tensor {
    match table.kind() {
        Kind::Float => gather_as::<f32>(table, places),
        _ => gather_as::<bf16>(table, places),
    }
}

fn gather_as<N: Number>(table: &Tensor, places: &[usize]) -> Tensor {
    let width = table.size()[1] as usize;
    let mut result = Tensor::empty([places.len() as i64, width as i64], (N::KIND, Device::Cpu));
    let (table, rows) = (numbers_of::<N>(table), share(places.len() * width, width));
    let parts = places.chunks(rows).zip(numbers_of_new::<N>(&mut result).chunks_mut(rows * width)).collect();
    run(parts, |(places, into)| {
        for (place, into) in places.iter().zip(into.chunks_exact_mut(width)) {
            into.copy_from_slice(&table[place * width..][..width]);
        }
    });
    result
}

/// Sums of the rows with equal places, of places below `rows`. // [rows, W], float32
pub fn sums(of_result: &Tensor, places: &[usize], rows: i64) -> Tensor {
    match of_result.kind() {
        Kind::Float => sums_as::<f32>(of_result, places, rows),
        _ => sums_as::<bf16>(of_result, places, rows),
    }
}

fn sums_as<N: Number>(of_result: &Tensor, places: &[usize], rows: i64) -> Tensor {
    let width = of_result.size()[1] as usize;
    let each = width.div_ceil(threads()).next_multiple_of(COLUMNS);
    let parts: Vec<Range<usize>> = (0..width).step_by(each).map(|first| first..(first + each).min(width)).collect();
    let numbers = numbers_of::<N>(of_result);
    let parts = run(parts, |columns| {
        let mut sums = Tensor::zeros([rows, columns.len() as i64], (Kind::Float, Device::Cpu));
        // SAFETY: the processor has AVX2 and FMA, as `serves` found.
        unsafe { add_columns(numbers, width, places, columns, numbers_of_new(&mut sums)) };
        sums
    });
    Tensor::cat(&parts, 1)
}

/// Adds some columns of rows to the sums of their places.
#[target_feature(enable = "avx2,fma")]
fn add_columns<N: Number>(numbers: &[N], width: usize, places: &[usize], columns: Range<usize>, sums: &mut [f32]) {
    for (place, row) in places.iter().zip(numbers.chunks_exact(width)) {
        let sums = &mut sums[place * columns.len()..][..columns.len()];
        add_to(sums, &row[columns.clone()]);
    }
}

/// Places, each below `rows`.
pub fn whole_numbers(places: &Tensor, rows: i64) -> Vec<usize> {
    let places = Vec::<i64>::try_from(places).unwrap_or_default();
    let within = |place: i64| {
        assert!((0..rows).contains(&place), "place {place} is not among {rows} rows");
        place as usize
    };
    places.into_iter().map(within).collect()
}
