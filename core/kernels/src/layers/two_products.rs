//! Two products of rows with something between them, the norm before and the residual after.

use super::by_rows::times;
use super::drops::{self, Multipliers};
use super::panels::Panels;
use super::softmax;
use super::sums::Sums;
use crate::dropping::Dropping;
use crate::norm::passes::{normalise, of_rows};
use crate::number::Number;
use crate::tiles::Layout;
use std::marker::PhantomData;

/// What is between.
#[derive(Clone, Copy)]
pub enum Between<'a> {
    /// `max(m ⊙ x, 0)`.
    Rectified(Option<Dropping>),
    /// Softmax over each head's keys, with these masks of one.
    Softmax(&'a [f32]),
}

/// `x + m ⊙ (h w₂)` with `h = between(x̂ w₁)`, for rows that share both weights; x̂ is the factor made of states over their
/// root mean square.
pub struct TwoProducts<'a, N> {
    pub width: usize,
    pub hidden: usize,
    /// Rows that go through together.
    pub chunk: usize,
    /// Number of the first chunk.
    pub first: usize,
    /// Added to mean squares.
    pub epsilon: f32,
    pub between: Between<'a>,
    pub dropping: Option<Dropping>,
    pub numbers: PhantomData<fn() -> N>,
}

/// Of both products.
#[derive(Debug)]
pub struct Both<T> {
    pub into: T,
    pub out: T,
}

/// Room for a chunk.
struct Room<N> {
    normal: Vec<N>,
    scales: Vec<f32>,
    /// Gradients, or activations that nobody keeps.
    hidden: Vec<N>,
    of_product: Vec<f32>,
    of_normal: Vec<f32>,
}

impl<N: Number> TwoProducts<'_, N> {
    /// Writes the result and, where they are to be kept, activations, chunk by chunk in panels.
    #[target_feature(enable = "avx2,fma")]
    pub fn forward(&self, states: &[f32], panels: &Both<&Panels>, mut kept: Option<&mut [N]>, into: &mut [f32]) {
        let Self { width, hidden, chunk, first, .. } = *self;
        let mut room = Room::<N>::of(chunk, width, if kept.is_some() { 0 } else { hidden });
        for (number, (states, into)) in states.chunks(chunk * width).zip(into.chunks_mut(chunk * width)).enumerate() {
            let rows = states.len() / width;
            let activations = match &mut kept {
                Some(kept) => &mut kept[number * chunk * hidden..][..rows * hidden],
                None => &mut room.hidden[..rows * hidden],
            };
            let (normal, layout) = (&mut room.normal[..states.len()], Layout::panels(rows));
            normalise(states, width, self.epsilon, normal, &mut room.scales[..rows]);
            let factors = (bytemuck::cast_slice(normal), Layout::rows(width));
            times(factors, rows, panels.into, None, (bytemuck::cast_slice_mut(activations), layout));
            self.between.forward(activations, rows, first + number);
            let (factors, rest) = ((bytemuck::cast_slice(activations), layout), (&mut *into, Layout::rows(width)));
            if self.dropping.is_none() {
                times(factors, rows, panels.out, Some(states), rest);
                continue;
            }
            times(factors, rows, panels.out, None, rest);
            drops::add(into, states, &mut Multipliers::of(self.dropping, first + number));
        }
    }

    /// Writes the gradient of the states, from activations that were kept and the gradient of the result; gives those of the
    /// weights, that of the second turned. // [D, F], [D, F]
    #[target_feature(enable = "avx2,fma")]
    pub fn backward(
        &self,
        (states, kept): (&[f32], &[N]),
        of_result: &[f32],
        panels: &Both<Panels>,
        into: &mut [f32],
    ) -> Both<Sums> {
        let Self { width, hidden, chunk, first, .. } = *self;
        let mut room = Room::<N>::of(chunk, width, hidden);
        let mut sums = Both { into: Sums::new(width, hidden), out: Sums::new(width, hidden) };
        let chunks = states.chunks(chunk * width).zip(kept.chunks(chunk * hidden)).zip(of_result.chunks(chunk * width));
        for (number, (((states, kept), of_result), into)) in chunks.zip(into.chunks_mut(chunk * width)).enumerate() {
            let (rows, narrow) = (states.len() / width, Layout::rows(width));
            let (inside, layout) = (&mut room.hidden[..rows * hidden], Layout::panels(rows));
            let of_product = match self.dropping {
                None => of_result,
                dropping => {
                    let room = &mut room.of_product[..states.len()];
                    drops::scale(of_result, &mut Multipliers::of(dropping, first + number), room);
                    room
                }
            };
            sums.out.add(of_product, bytemuck::cast_slice(kept));
            times((of_product, narrow), rows, &panels.out, None, (bytemuck::cast_slice_mut(inside), layout));
            self.between.backward(kept, rows, inside);
            let (normal, of_normal) = (&mut room.normal[..states.len()], &mut room.of_normal[..states.len()]);
            normalise(states, width, self.epsilon, normal, &mut room.scales[..rows]);
            sums.into.add(bytemuck::cast_slice(normal), bytemuck::cast_slice(inside));
            times((bytemuck::cast_slice(inside), layout), rows, &panels.into, None, (of_normal, narrow));
            of_rows::<N>(normal, bytemuck::cast_slice(of_normal), &room.scales, width, Some(of_result), into);
        }
        sums
    }
}

impl Between<'_> {
    /// In place of the first product, `rows` rows in panels.
    #[target_feature(enable = "avx2,fma")]
    fn forward<N: Number>(self, hidden: &mut [N], rows: usize, chunk: usize) {
        match self {
            Self::Rectified(dropping) => drops::rectify(hidden, &mut Multipliers::of(dropping, chunk)),
            Self::Softmax(mask) => softmax::forward(bytemuck::cast_slice_mut(hidden), rows, mask),
        }
    }

    /// The gradients of the first product in place of those of what became of it.
    #[target_feature(enable = "avx2,fma")]
    fn backward<N: Number>(self, kept: &[N], rows: usize, gradients: &mut [N]) {
        match self {
            Self::Rectified(dropping) => {
                drops::pass_through(kept, dropping.map_or(1.0, |dropping| dropping.scale()), gradients);
            }
            Self::Softmax(mask) => {
                let (kept, gradients) = (bytemuck::cast_slice(kept), bytemuck::cast_slice_mut(gradients));
                softmax::backward(kept, rows, mask.len(), gradients);
            }
        }
    }
}

impl<N: Number> Room<N> {
    fn of(chunk: usize, width: usize, hidden: usize) -> Self {
        let narrow = chunk * width;
        Self {
            normal: vec![N::zeroed(); narrow],
            scales: vec![0.0; chunk],
            hidden: vec![N::zeroed(); chunk * hidden],
            of_product: vec![0.0; narrow],
            of_normal: vec![0.0; narrow],
        }
    }
}
