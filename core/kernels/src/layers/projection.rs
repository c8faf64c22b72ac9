//! States, or these over their root mean square, times weights.
#![allow(unsafe_code)]

use super::by_rows::times;
use super::cut::{Cut, WORTH_SUMS};
use super::panels::{Panels, Right, lay_out};
use super::sums::Sums;
use crate::floats::{numbers_of, numbers_of_new};
use crate::norm::passes::{normalise, of_rows};
use crate::number::Number;
use crate::threads::run;
use crate::tiles::Layout;
use std::marker::PhantomData;
use tch::{Device, Kind, Tensor};

/// `x̂ w`, with x̂ the factor made of states.
pub struct Projection<N> {
    pub states: Tensor, // [M, K]
    pub weights: Right, // [K, N]
    /// Added to mean squares; none where states are factors as they are.
    pub epsilon: Option<f32>,
    pub numbers: PhantomData<fn() -> N>,
}

/// What every part is told.
struct Plan<N> {
    inner: usize,
    width: usize,
    chunk: usize,
    epsilon: Option<f32>,
    numbers: PhantomData<fn() -> N>,
}

/// Room for a chunk.
struct Room<N> {
    normal: Vec<N>,
    scales: Vec<f32>,
    of_normal: Vec<f32>,
}

impl<N: Number> Projection<N> {
    /// The result. // [M, N]
    pub fn forward(&self, panels: &Panels) -> Tensor {
        let rows = self.states.size()[0];
        let (cut, plan) = self.plan(1);
        let Plan { inner, width, .. } = plan;
        let mut result = Tensor::empty([rows, width as i64], (Kind::Float, Device::Cpu));
        let states = numbers_of::<f32>(&self.states).chunks(cut.part * inner);
        let parts = states.zip(numbers_of_new::<f32>(&mut result).chunks_mut(cut.part * width));
        run(parts.collect(), |(states, into)| {
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            unsafe { plan.forward_part(states, panels, into) }
        });
        result
    }

    /// Gradients of the states and of the weights, where they are wanted. // [M, K], [K, N]
    pub fn backward(&self, of_result: &Tensor, [of_states, of_weights]: [bool; 2]) -> [Option<Tensor>; 2] {
        let (cut, plan) = self.plan(WORTH_SUMS);
        let Plan { inner, width, .. } = plan;
        let mut found = of_states.then(|| self.states.empty_like());
        // SAFETY: as above.
        let panels = of_states.then(|| unsafe { self.weights.transposed().panels() });
        let mut into = found.as_mut().map(|found| numbers_of_new::<f32>(found).chunks_mut(cut.part * inner));
        let states = numbers_of::<f32>(&self.states).chunks(cut.part * inner);
        let parts = states.zip(numbers_of::<f32>(of_result).chunks(cut.part * width));
        let parts = parts.map(|(states, of_result)| (states, of_result, into.as_mut().and_then(Iterator::next)));
        let sums = run(parts.collect(), |(states, of_result, into)| {
            let mut sums = of_weights.then(|| Sums::new(inner, width));
            // SAFETY: as above.
            unsafe { plan.backward_part(states, of_result, panels.as_ref().zip(into), sums.as_mut()) }
            sums
        });
        [found, of_weights.then(|| Sums::total(&sums.into_iter().flatten().collect::<Vec<_>>(), inner, width))]
    }

    /// How rows are cut into parts of `least` and more, and what these are told.
    fn plan(&self, least: usize) -> (Cut, Plan<N>) {
        let (inner, width) = self.weights.size();
        let cut = Cut::of(self.states.size()[0] as usize, least);
        (cut, Plan { inner, width, chunk: cut.chunk, epsilon: self.epsilon, numbers: PhantomData })
    }
}

impl<N: Number> Plan<N> {
    #[target_feature(enable = "avx2,fma")]
    fn forward_part(&self, states: &[f32], panels: &Panels, into: &mut [f32]) {
        let Self { inner, width, chunk, .. } = *self;
        let mut room = Room::default();
        for (states, into) in states.chunks(chunk * inner).zip(into.chunks_mut(chunk * width)) {
            let factors = self.factors(states, &mut room);
            times((factors, Layout::rows(inner)), states.len() / inner, panels, None, (into, Layout::rows(width)));
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn backward_part(
        &self,
        states: &[f32],
        of_result: &[f32],
        mut of_states: Option<(&Panels, &mut [f32])>,
        mut sums: Option<&mut Sums>,
    ) {
        let Self { inner, width, chunk, .. } = *self;
        let (mut room, mut of_results) = (Room::default(), Vec::new());
        let chunks = states.chunks(chunk * inner).zip(of_result.chunks(chunk * width)).enumerate();
        for (number, (states, of_result)) in chunks {
            lay_out(of_result, width, &mut of_results);
            let factors = self.factors(states, &mut room);
            if let Some(sums) = &mut sums {
                sums.add(factors, &of_results);
            }
            let Some((panels, of_states)) = &mut of_states else { continue };
            let rows = states.len() / inner;
            let into = &mut of_states[number * chunk * inner..][..states.len()];
            let from = (&of_results[..], Layout::panels(rows));
            if self.epsilon.is_none() {
                times(from, rows, panels, None, (into, Layout::rows(inner)));
                continue;
            }
            let Room { normal, scales, of_normal } = &mut room;
            of_normal.resize(states.len(), 0.0);
            times(from, rows, panels, None, (of_normal, Layout::rows(inner)));
            of_rows::<N>(normal, bytemuck::cast_slice(of_normal), scales, inner, None, into);
        }
    }

    /// Factors of a chunk.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn factors<'a>(&self, states: &'a [f32], room: &'a mut Room<N>) -> &'a [f32] {
        let Some(epsilon) = self.epsilon else { return states };
        room.normal.resize(states.len(), N::zeroed());
        room.scales.resize(states.len() / self.inner, 0.0);
        normalise(states, self.inner, epsilon, &mut room.normal, &mut room.scales);
        bytemuck::cast_slice(&room.normal)
    }
}

impl<N> Default for Room<N> {
    fn default() -> Self {
        Self { normal: Vec::new(), scales: Vec::new(), of_normal: Vec::new() }
    }
}
