//! Factors laid out for products, and results rounded.
//!
//! All functions here, and those that call them, are compiled for AVX-512 with bf16; [`Matrices`](super::Matrices) are had
//! where the processor has these.

use super::{BLOCK, DEEP, HIGH};
use crate::floats::Block;
use crate::number::Number;
use crate::sixteen::{load, transposed};
use crate::tiles::WIDE;
use half::bf16;
use std::arch::x86_64::{
    __m256i, __m512, __m512i, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh, _mm512_mul_ps,
    _mm512_permutex2var_epi16, _mm512_permutexvar_epi16, _mm512_set1_ps, _mm512_setzero_ps,
};
use std::mem::transmute;

/// Words of two vectors by turns: those of the lower halves, and those of the upper ones.
const BY_TURNS: [[i16; DEEP]; 2] = {
    let mut words = [[0; DEEP]; 2];
    let mut index = 0;
    while index < DEEP {
        let word = (index / 2 + index % 2 * DEEP) as i16;
        (words[0][index], words[1][index]) = (word, word + WIDE as i16);
        index += 1;
    }
    words
};

/// Words of both halves of a vector by turns.
const HALVES_BY_TURNS: [i16; DEEP] = {
    let mut words = [0; DEEP];
    let mut index = 0;
    while index < DEEP {
        words[index] = (index / 2 + index % 2 * WIDE) as i16;
        index += 1;
    }
    words
};

/// Thirty-two numbers as they lie.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn words(numbers: &[bf16]) -> __m512i {
    let mut words = [bf16::ZERO; DEEP];
    words.copy_from_slice(&numbers[..DEEP]);
    bytemuck::cast(words)
}

/// Writes thirty-two numbers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn put_words(numbers: &mut [bf16], words: __m512i) {
    numbers[..DEEP].copy_from_slice(&bytemuck::cast::<_, [bf16; DEEP]>(words));
}

/// Two vectors rounded, the first one's numbers first.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn narrowed(first: __m512, second: __m512) -> __m512i {
    // SAFETY: both types are 512 bits, any of which are a value.
    unsafe { transmute(_mm512_cvtne2ps_pbh(second, first)) }
}

/// Rows of bf16 one after the other, then zeros up to `padded` rows. // [padded, width]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn rows<N: Number>(block: Block<'_, N>, padded: usize, into: &mut Vec<bf16>) {
    let width = block.width();
    into.resize(padded * width, bf16::ZERO);
    for (index, into) in into[..block.count * width].chunks_exact_mut(width).enumerate() {
        let row = bytemuck::cast_slice(block.row(index));
        row.chunks_exact(DEEP).zip(into.chunks_exact_mut(DEEP)).for_each(|(row, into)| put_words(into, words(row)));
    }
    into[block.count * width..].fill(bf16::ZERO);
}

/// A right factor from its rows, a multiple of 32. // [rows, width] to blocks [rows / 32, width / 16]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn pairs(rows: &[bf16], width: usize, into: &mut Vec<bf16>) {
    into.resize(rows.len(), bf16::ZERO);
    let turns: [__m512i; 2] = bytemuck::cast(BY_TURNS);
    for (rows, blocks) in rows.chunks_exact(DEEP * width).zip(into.chunks_exact_mut(DEEP * width)) {
        for (index, pair) in rows.chunks_exact(2 * width).enumerate() {
            let (first, second) = pair.split_at(width);
            let columns = first.chunks_exact(DEEP).zip(second.chunks_exact(DEEP));
            for ((first, second), blocks) in columns.zip(blocks.chunks_exact_mut(2 * BLOCK)) {
                let (first, second) = (words(first), words(second));
                for (turns, block) in turns.iter().zip(blocks.chunks_exact_mut(BLOCK)) {
                    put_words(&mut block[index * DEEP..], _mm512_permutex2var_epi16(first, *turns, second));
                }
            }
        }
    }
}

/// A right factor from the rows of its transpose, a multiple of 16. // [rows, width] to blocks [width / 32, rows / 16]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn turned(rows: &[bf16], width: usize, into: &mut Vec<bf16>) {
    into.resize(rows.len(), bf16::ZERO);
    let across = rows.len() / width / HIGH;
    for (place, rows) in rows.chunks_exact(HIGH * width).enumerate() {
        for step in 0..width / DEEP {
            let mut pairs = [_mm512_setzero_ps(); HIGH];
            for (pairs, row) in pairs.iter_mut().zip(rows.chunks_exact(width)) {
                *pairs = _mm512_castsi512_ps(words(&row[step * DEEP..]));
            }
            put_block(pairs, &mut into[(step * across + place) * BLOCK..]);
        }
    }
}

/// A step of a left factor from columns of its transpose, 32 rows of numbers `stride` apart, rounded; those before the row
/// `from`, an even one, count as zeros. // [32, 16] to [16, 32]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn turned_pairs(numbers: &[f32], stride: usize, from: usize, into: &mut [bf16]) {
    let turns = bytemuck::cast(HALVES_BY_TURNS);
    let mut pairs = [_mm512_setzero_ps(); HIGH];
    for (index, pairs) in pairs.iter_mut().enumerate().skip(from / 2) {
        let row = |row: usize| &numbers[(2 * index + row) * stride..];
        let both = narrowed(load(row(0)), load(row(1)));
        *pairs = _mm512_castsi512_ps(_mm512_permutexvar_epi16(turns, both));
    }
    put_block(pairs, into);
}

/// Writes rows of pairs, turned.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
fn put_block(pairs: [__m512; HIGH], into: &mut [bf16]) {
    for (pairs, into) in transposed(pairs).into_iter().zip(into.chunks_exact_mut(DEEP)) {
        put_words(into, bytemuck::cast(pairs));
    }
}

/// A row rounded, then zeros up to whole steps. // a multiple of 16 to one of 32
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn rounded(row: &[f32], into: &mut [bf16]) {
    let whole = row.chunks_exact(DEEP);
    let rest = whole.remainder();
    let mut into = into.chunks_exact_mut(DEEP);
    for (row, into) in whole.zip(&mut into) {
        put_words(into, narrowed(load(row), load(&row[WIDE..])));
    }
    if let (false, Some(into)) = (rest.is_empty(), into.next()) {
        put_words(into, narrowed(load(rest), _mm512_setzero_ps()));
    }
}

/// Writes a row of results times a scale, rounded. // a multiple of 16
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512bf16")]
pub fn put<N: Number>(row: &[f32], scale: f32, into: &mut [N]) {
    let scale = _mm512_set1_ps(scale);
    for (row, into) in row.chunks_exact(WIDE).zip(bytemuck::cast_slice_mut::<_, bf16>(into).chunks_exact_mut(WIDE)) {
        // SAFETY: both types are 256 bits, any of which are a value.
        let rounded: __m256i = unsafe { transmute(_mm512_cvtneps_pbh(_mm512_mul_ps(load(row), scale))) };
        into.copy_from_slice(&bytemuck::cast::<_, [bf16; WIDE]>(rounded));
    }
}
