//! The passes, in blocks shared out among libtorch's threads.
#![allow(unsafe_code)]

use crate::dropping::Dropping;
use crate::factors::Factors;
use crate::floats::{numbers_of, numbers_of_new};
use crate::lanes::{LANES, load, store};
use crate::number::{Number, Rounded, with_numbers};
use crate::threads::{run, share};
use half::bf16;
use std::arch::x86_64::{
    _CMP_GT_OQ, _mm256_and_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_ps,
};
use std::ops::Range;
use tch::{Kind, Tensor};

/// Numbers whose decisions are drawn together, by a generator of their own.
const BLOCK: usize = 1024;

type Multipliers = [f32; BLOCK];

/// Of a block in which nothing is dropped.
const ONES: Multipliers = [1.0; BLOCK];

/// What is dropped, if anything.
#[derive(Clone, Copy)]
pub struct Drops(pub Option<Dropping>);

impl Drops {
    /// What a block's numbers are multiplied by, written to the room where it is not 1.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn multipliers(self, block: usize, room: &mut Multipliers) -> &Multipliers {
        let Some(dropping) = self.0 else { return &ONES };
        dropping.decisions(block as u64).fill(room);
        room
    }
}

/// A new tensor, whose blocks `each` fills: it is given a block's multipliers, and which of all numbers are in it.
fn by_block<I: Number>(
    drops: Drops,
    like: &Tensor,
    each: impl Fn(&Multipliers, Range<usize>, &mut [I]) + Sync,
) -> Tensor {
    let mut result = Tensor::empty(like.size(), (I::KIND, like.device()));
    let numbers = numbers_of_new::<I>(&mut result);
    let blocks = share(numbers.len(), BLOCK);
    let parts = numbers.chunks_mut(blocks * BLOCK).enumerate().collect();
    run(parts, |(part, numbers): (usize, &mut [I])| {
        let mut room = [0.0; BLOCK];
        for (block, numbers) in (part * blocks..).zip(numbers.chunks_mut(BLOCK)) {
            let first = block * BLOCK;
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            let kept = unsafe { drops.multipliers(block, &mut room) };
            each(kept, first..first + numbers.len(), numbers);
        }
    });
    result
}

/// `m ⊙ x`, with m the multipliers, in a kind: dropout, and the gradient of its input from that of its result.
pub fn scaled(drops: Drops, x: &Tensor, kind: Kind) -> Tensor {
    match (x.kind(), kind) {
        (Kind::Float, Kind::Float) => scaled_as::<f32, f32>(drops, x),
        (Kind::Float, _) => scaled_as::<f32, bf16>(drops, x),
        _ => scaled_as::<bf16, bf16>(drops, x),
    }
}

fn scaled_as<N: Number, I: Number>(drops: Drops, x: &Tensor) -> Tensor {
    let numbers = numbers_of::<N>(x);
    by_block(drops, x, |kept, at, into: &mut [I]| {
        // SAFETY: as above.
        unsafe { scale(&numbers[at], kept, into) }
    })
}

#[target_feature(enable = "avx2,fma")]
fn scale<N: Number, I: Number>(x: &[N], kept: &Multipliers, into: &mut [I]) {
    let lanes = x.chunks_exact(LANES).zip(kept.chunks_exact(LANES)).zip(into.chunks_exact_mut(LANES));
    for ((x, kept), into) in lanes {
        store(into, _mm256_mul_ps(load(x), load(kept)));
    }
}

/// The nearest numbers of bf16, in float32.
pub fn rounded(x: &Tensor) -> Tensor {
    scaled_as::<f32, Rounded>(Drops(None), x)
}

/// `max(m ⊙ x, 0)`.
pub fn rectified(drops: Drops, x: &Tensor, factors: Factors) -> Tensor {
    with_numbers!(factors, N => rectified_as::<N>(drops, x))
}

fn rectified_as<N: Number>(drops: Drops, x: &Tensor) -> Tensor {
    let numbers = numbers_of::<N>(x);
    by_block(drops, x, |kept, at, into: &mut [N]| {
        // SAFETY: as above.
        unsafe { rectify(&numbers[at], kept, into) }
    })
}

#[target_feature(enable = "avx2,fma")]
fn rectify<N: Number>(x: &[N], kept: &Multipliers, into: &mut [N]) {
    let lanes = x.chunks_exact(LANES).zip(kept.chunks_exact(LANES)).zip(into.chunks_exact_mut(LANES));
    for ((x, kept), into) in lanes {
        let x = _mm256_mul_ps(load(x), load(kept));
        // Of two operands the second is taken where one is not a number, which shall be seen.
        store(into, _mm256_max_ps(_mm256_setzero_ps(), x));
    }
}

/// The gradient of `x` from that of `max(m ⊙ x, 0)`: m times it where the result is not 0, for nothing dropped is there.
pub fn through(drops: Drops, result: &Tensor, of_result: &Tensor, factors: Factors) -> Tensor {
    let scale = drops.0.map_or(1.0, |dropping| dropping.scale());
    with_numbers!(factors, N => through_as::<N>(scale, result, of_result))
}

fn through_as<N: Number>(scale: f32, result: &Tensor, of_result: &Tensor) -> Tensor {
    let (results, of_results) = (numbers_of::<N>(result), numbers_of::<N>(of_result));
    by_block(Drops(None), result, |_, at, into: &mut [N]| {
        // SAFETY: as above.
        unsafe { pass_through(&results[at.clone()], &of_results[at], scale, into) }
    })
}

#[target_feature(enable = "avx2,fma")]
fn pass_through<N: Number>(results: &[N], of_results: &[N], scale: f32, into: &mut [N]) {
    let lanes = results.chunks_exact(LANES).zip(of_results.chunks_exact(LANES)).zip(into.chunks_exact_mut(LANES));
    for ((results, of_results), into) in lanes {
        let passes = _mm256_cmp_ps::<_CMP_GT_OQ>(load(results), _mm256_setzero_ps());
        store(into, _mm256_and_ps(passes, _mm256_mul_ps(load(of_results), _mm256_set1_ps(scale))));
    }
}

/// `states + m ⊙ x`; the states are float32.
pub fn added(drops: Drops, states: &Tensor, x: &Tensor) -> Tensor {
    if x.kind() == Kind::Float { added_as::<f32>(drops, states, x) } else { added_as::<bf16>(drops, states, x) }
}

fn added_as<N: Number>(drops: Drops, states: &Tensor, x: &Tensor) -> Tensor {
    let (states, numbers) = (numbers_of::<f32>(states), numbers_of::<N>(x));
    by_block(drops, x, |kept, at, into: &mut [f32]| {
        // SAFETY: as above.
        unsafe { add(&states[at.clone()], &numbers[at], kept, into) }
    })
}

#[target_feature(enable = "avx2,fma")]
fn add<N: Number>(states: &[f32], x: &[N], kept: &Multipliers, into: &mut [f32]) {
    let lanes = states.chunks_exact(LANES).zip(x.chunks_exact(LANES)).zip(kept.chunks_exact(LANES));
    for (((states, x), kept), into) in lanes.zip(into.chunks_exact_mut(LANES)) {
        store(into, _mm256_fmadd_ps(load(x), load(kept), load(states)));
    }
}
