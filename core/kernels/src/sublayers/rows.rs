//! Some rows on their way through a sub-layer: norm, product, what is between, product, residual.
//!
//! Factors are filled up with rows of zeros to whole steps: libtorch prepares every product anew that has another number of
//! rows than those before.
#![allow(unsafe_code)]

use crate::dropping::Dropping;
use crate::floats::{numbers_of, numbers_of_new};
use crate::layers::drops::{self, Multipliers};
use crate::norm::passes::{normalise, of_rows};
use crate::number::Number;
use crate::softmax::passes::{harden, soften};
use std::marker::PhantomData;
use std::sync::Arc;
use tch::{Device, Tensor};

/// Rows of factors are a multiple of this.
const STEP: usize = 32;

/// What is between the products.
#[derive(Clone)]
pub enum Between {
    /// `max(m ⊙ x, 0)`.
    Rectified(Option<Dropping>),
    /// Softmax over each head's keys, so many, with a mask of these added, as [`padded`](crate::softmax::passes::padded) makes it.
    Softmax { keys: usize, mask: Arc<[f32]> },
}

/// `x + m ⊙ (h w₂)` with `h = between(x̂ w₁)`, for rows that share both weights; x̂ is the factor made of states over their
/// root mean square.
pub struct Sublayer<N> {
    pub into: Tensor, // [D, H]
    pub out: Tensor,  // [H, D]
    /// Added to mean squares.
    pub epsilon: f32,
    pub between: Between,
    pub dropping: Option<Dropping>,
    /// Of these rows among all, for what is dropped.
    pub number: usize,
    pub numbers: PhantomData<fn() -> N>,
}

/// What the backward pass needs of the forward pass.
pub struct Kept {
    normal: Tensor,     // [M and a few, D]
    scales: Arc<[f32]>, // [M]
    hidden: Tensor,     // [M and a few, H]
}

/// Gradients of the weights, that of the first turned.
pub struct Gradients {
    pub of_into: Tensor, // [H, D]
    pub of_out: Tensor,  // [H, D]
}

impl Kept {
    /// The same, for another thread.
    pub fn shared(&self) -> Self {
        let Self { normal, scales, hidden } = self;
        Self { normal: normal.shallow_clone(), scales: scales.clone(), hidden: hidden.shallow_clone() }
    }
}

impl<N: Number> Sublayer<N> {
    /// The same, for another thread.
    pub fn shared(&self) -> Self {
        Self { into: self.into.shallow_clone(), out: self.out.shallow_clone(), between: self.between.clone(), ..*self }
    }

    /// Writes the result of some rows; gives what the backward pass needs. // [M, D]
    pub fn forward(&self, states: &[f32], result: &mut [f32]) -> Kept {
        let width = self.into.size()[0] as usize;
        let mut scales = vec![0.0; states.len() / width];
        let size = [scales.len().next_multiple_of(STEP) as i64, width as i64];
        let mut normal = Tensor::empty(size, (N::KIND, Device::Cpu));
        // SAFETY: the processor has AVX2 and FMA, as `serves` found.
        unsafe { normalise::<N>(states, width, self.epsilon, filled(&mut normal, states.len()), &mut scales) };
        let hidden = self.forward_between(normal.mm(&self.into), scales.len());
        let change = hidden.mm(&self.out);
        let mut multipliers = Multipliers::of(self.dropping, self.number);
        // SAFETY: as above.
        unsafe { drops::plus::<N>(states, numbers_of(&change), &mut multipliers, result) };
        Kept { normal, scales: scales.into(), hidden }
    }

    /// Writes the gradient of the states; gives those of the weights.
    pub fn backward(&self, kept: &Kept, of_result: &[f32], of_states: &mut [f32]) -> Gradients {
        let Kept { normal, scales, hidden } = kept;
        let mut of_change = normal.empty_like();
        let mut multipliers = Multipliers::of(self.dropping, self.number);
        // SAFETY: as above.
        unsafe { drops::scale::<N>(of_result, &mut multipliers, filled(&mut of_change, of_result.len())) };
        let of_out = hidden.tr().mm(&of_change);
        let of_hidden = self.backward_between(hidden, of_change.mm(&self.out.tr()), scales.len());
        let of_into = of_hidden.tr().mm(normal);
        let (of_normal, width) = (of_hidden.mm(&self.into.tr()), normal.size()[1] as usize);
        let (normal, of_normal) = (numbers_of::<N>(normal), numbers_of::<N>(&of_normal));
        // SAFETY: as above.
        unsafe { of_rows::<N>(normal, of_normal, scales, width, Some(of_result), of_states) };
        Gradients { of_into, of_out }
    }

    /// What becomes of the first product, of which so many rows count. // as `product`
    fn forward_between(&self, mut product: Tensor, rows: usize) -> Tensor {
        match &self.between {
            Between::Rectified(dropping) => {
                let mut multipliers = Multipliers::of(*dropping, self.number);
                // SAFETY: as above.
                unsafe { drops::rectify::<N>(numbers_of_new(&mut product), &mut multipliers) };
                product
            }
            Between::Softmax { keys, mask } => {
                let mut weights = product.empty_like();
                let (scores, mut room) = (numbers_of::<N>(&product), vec![0.0; mask.len()]);
                let results = filled::<N>(&mut weights, rows * self.into.size()[1] as usize);
                for (scores, weights) in scores.chunks_exact(*keys).zip(results.chunks_exact_mut(*keys)) {
                    // SAFETY: as above.
                    unsafe { soften(scores, mask, &mut room, weights) };
                }
                weights
            }
        }
    }

    /// From gradients of what became of the first product: those of the product. // as `hidden`
    fn backward_between(&self, hidden: &Tensor, mut gradients: Tensor, rows: usize) -> Tensor {
        match &self.between {
            Between::Rectified(dropping) => {
                let scale = dropping.map_or(1.0, |dropping| dropping.scale());
                // SAFETY: as above.
                unsafe { drops::pass_through::<N>(numbers_of(hidden), scale, numbers_of_new(&mut gradients)) };
                gradients
            }
            Between::Softmax { keys, .. } => {
                let mut of_scores = gradients.empty_like();
                let known = numbers_of::<N>(hidden).chunks_exact(*keys);
                let known = known.zip(numbers_of::<N>(&gradients).chunks_exact(*keys));
                let results = filled::<N>(&mut of_scores, rows * self.into.size()[1] as usize);
                for ((weights, of_weights), of_scores) in known.zip(results.chunks_exact_mut(*keys)) {
                    // SAFETY: as above.
                    unsafe { harden(weights, of_weights, of_scores) };
                }
                of_scores
            }
        }
    }
}

/// The first numbers of a new tensor, behind which all others are 0.
fn filled<N: Number>(new: &mut Tensor, count: usize) -> &mut [N] {
    let (numbers, rest) = numbers_of_new::<N>(new).split_at_mut(count);
    rest.fill(N::zeroed());
    numbers
}
