//! The feed-forward layer of a transformer, with its norm, its dropout and its residual.
#![allow(unsafe_code)]

use super::cut::{Cut, WORTH_SUMS};
use super::panels::{Panels, Right};
use super::sums::Sums;
use super::two_products::{Between, Both, TwoProducts};
use crate::dropping::Dropping;
use crate::floats::{numbers_of, numbers_of_new};
use crate::number::Number;
use crate::threads::run;
use std::marker::PhantomData;
use tch::{Device, Tensor};

/// `x + m₂ ⊙ (h w₂)` with `h = max(m₁ ⊙ (x̂ w₁), 0)`, x̂ the factor made of states over their root mean square.
pub struct FeedForward<N> {
    pub states: Tensor, // [M, D]
    pub into: Right,    // [D, F]
    pub out: Right,     // [F, D]
    /// Added to mean squares.
    pub epsilon: f32,
    pub dropping: [Option<Dropping>; 2],
    pub numbers: PhantomData<fn() -> N>,
}

/// Gradients of states and of both weights.
pub struct Gradients {
    pub of_states: Tensor, // [M, D]
    pub of_into: Tensor,   // [D, F]
    pub of_out: Tensor,    // [F, D]
}

impl<N: Number> FeedForward<N> {
    /// The result `[M, D]`, and, where they are to be kept, activations chunk by chunk in panels `[M, F]`.
    pub fn forward(&self, panels: &Both<&Panels>, keeps: bool) -> (Tensor, Option<Tensor>) {
        let (count, width, hidden) = self.sizes();
        let cut = Cut::of(count, 1);
        let mut result = self.states.empty_like();
        let mut kept = keeps.then(|| Tensor::empty([count as i64, hidden as i64], (N::KIND, Device::Cpu)));
        let mut keeping = kept.as_mut().map(|kept| numbers_of_new::<N>(kept).chunks_mut(cut.part * hidden));
        let states = numbers_of::<f32>(&self.states).chunks(cut.part * width);
        let parts = states.zip(numbers_of_new::<f32>(&mut result).chunks_mut(cut.part * width)).enumerate();
        let parts = parts.map(|(part, both)| (part, both, keeping.as_mut().and_then(Iterator::next)));
        let rows = self.rows(cut);
        run(parts.collect(), |(part, (states, into), kept)| {
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            unsafe { rows(part).forward(states, panels, kept, into) }
        });
        (result, kept)
    }

    /// All gradients, from activations that were kept and the gradient of the result.
    pub fn backward(&self, kept: &Tensor, of_result: &Tensor) -> Gradients {
        let (count, width, hidden) = self.sizes();
        let cut = Cut::of(count, WORTH_SUMS);
        let mut of_states = self.states.empty_like();
        // SAFETY: as above.
        let panels = unsafe { Both { into: self.into.transposed().panels(), out: self.out.transposed().panels() } };
        let states = numbers_of::<f32>(&self.states).chunks(cut.part * width);
        let known = states.zip(numbers_of::<N>(kept).chunks(cut.part * hidden));
        let parts = known.zip(numbers_of::<f32>(of_result).chunks(cut.part * width));
        let parts = parts.zip(numbers_of_new::<f32>(&mut of_states).chunks_mut(cut.part * width)).enumerate();
        let rows = self.rows(cut);
        let sums = run(parts.collect(), |(part, ((known, of_result), into))| {
            // SAFETY: as above.
            unsafe { rows(part).backward(known, of_result, &panels, into) }
        });
        let (of_into, of_out): (Vec<_>, Vec<_>) = sums.into_iter().map(|sums| (sums.into, sums.out)).unzip();
        let (of_into, of_out) = (Sums::total(&of_into, width, hidden), Sums::total(&of_out, width, hidden).tr());
        Gradients { of_states, of_into, of_out }
    }

    /// Rows and width of the states, and the width between.
    fn sizes(&self) -> (usize, usize, usize) {
        let (width, hidden) = self.into.size();
        (self.states.size()[0] as usize, width, hidden)
    }

    /// What parts are told.
    fn rows(&self, cut: Cut) -> impl Fn(usize) -> TwoProducts<'static, N> + Sync + use<N> {
        let (_, width, hidden) = self.sizes();
        let (epsilon, [between, dropping]) = (self.epsilon, self.dropping);
        move |part| {
            let (chunk, first, between) = (cut.chunk, cut.first_chunk(part), Between::Rectified(between));
            TwoProducts { width, hidden, chunk, first, epsilon, between, dropping, numbers: PhantomData }
        }
    }
}
