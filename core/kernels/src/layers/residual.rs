//! Factors times weights, with dropout, added to states.
#![allow(unsafe_code)]

use super::by_rows::times;
use super::cut::{Cut, WORTH_SUMS};
use super::drops::{self, Multipliers};
use super::panels::{Panels, Right, lay_out};
use super::sums::Sums;
use crate::dropping::Dropping;
use crate::floats::{numbers_of, numbers_of_new};
use crate::threads::run;
use crate::tiles::Layout;
use tch::Tensor;

/// `states + m ⊙ (x w)`, with m the multipliers of dropout.
pub struct Residual {
    pub x: Tensor,      // [M, K]
    pub weights: Right, // [K, N]
    pub dropping: Option<Dropping>,
}

/// What every part is told.
struct Plan {
    inner: usize,
    width: usize,
    cut: Cut,
    dropping: Option<Dropping>,
}

impl Residual {
    /// The result. // [M, N]
    pub fn forward(&self, states: &Tensor, panels: &Panels) -> Tensor {
        let plan = self.plan(1);
        let Plan { inner, width, cut, .. } = plan;
        let mut result = states.empty_like();
        let x = numbers_of::<f32>(&self.x).chunks(cut.part * inner);
        let states = numbers_of::<f32>(states).chunks(cut.part * width);
        let parts = x.zip(states).zip(numbers_of_new::<f32>(&mut result).chunks_mut(cut.part * width)).enumerate();
        run(parts.collect(), |(part, ((x, states), into))| {
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            unsafe { plan.forward_part(x, states, panels, cut.first_chunk(part), into) }
        });
        result
    }

    /// Gradients of the factors and of the weights, where they are wanted; that of the states is the result's.
    // [M, K], [K, N]
    pub fn backward(&self, of_result: &Tensor, [of_x, of_weights]: [bool; 2]) -> [Option<Tensor>; 2] {
        let plan = self.plan(WORTH_SUMS);
        let Plan { inner, width, cut, .. } = plan;
        let mut found = of_x.then(|| self.x.empty_like());
        // SAFETY: as above.
        let panels = of_x.then(|| unsafe { self.weights.transposed().panels() });
        let mut into = found.as_mut().map(|found| numbers_of_new::<f32>(found).chunks_mut(cut.part * inner));
        let x = numbers_of::<f32>(&self.x).chunks(cut.part * inner);
        let parts = x.zip(numbers_of::<f32>(of_result).chunks(cut.part * width)).enumerate();
        let parts = parts.map(|(part, (x, of_result))| (part, x, of_result, into.as_mut().and_then(Iterator::next)));
        let sums = run(parts.collect(), |(part, x, of_result, into)| {
            let mut sums = of_weights.then(|| Sums::new(width, inner));
            let of_x = panels.as_ref().zip(into);
            // SAFETY: as above.
            unsafe { plan.backward_part(x, of_result, of_x, cut.first_chunk(part), sums.as_mut()) }
            sums
        });
        let total = |sums: Vec<_>| Sums::total(&sums.into_iter().flatten().collect::<Vec<_>>(), width, inner).tr();
        [found, of_weights.then(|| total(sums))]
    }

    fn plan(&self, least: usize) -> Plan {
        let (inner, width) = self.weights.size();
        Plan { inner, width, cut: Cut::of(self.x.size()[0] as usize, least), dropping: self.dropping }
    }
}

impl Plan {
    #[target_feature(enable = "avx2,fma")]
    fn forward_part(&self, x: &[f32], states: &[f32], panels: &Panels, first: usize, into: &mut [f32]) {
        let Self { inner, width, cut: Cut { chunk, .. }, .. } = *self;
        let chunks = x.chunks(chunk * inner).zip(states.chunks(chunk * width)).zip(into.chunks_mut(chunk * width));
        for (number, ((x, states), into)) in chunks.enumerate() {
            let (x, rows, layout) = ((x, Layout::rows(inner)), x.len() / inner, Layout::rows(width));
            if self.dropping.is_none() {
                times(x, rows, panels, Some(states), (into, layout));
                continue;
            }
            times(x, rows, panels, None, (into, layout));
            drops::add(into, states, &mut Multipliers::of(self.dropping, first + number));
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn backward_part(
        &self,
        x: &[f32],
        of_result: &[f32],
        mut of_x: Option<(&Panels, &mut [f32])>,
        first: usize,
        mut sums: Option<&mut Sums>,
    ) {
        let Self { inner, width, cut: Cut { chunk, .. }, .. } = *self;
        let mut panels_of_x = Vec::new();
        let mut room = vec![0.0; if self.dropping.is_some() { chunk * width } else { 0 }];
        for (number, (x, of_result)) in x.chunks(chunk * inner).zip(of_result.chunks(chunk * width)).enumerate() {
            let of_product = match self.dropping {
                None => of_result,
                dropping => {
                    let room = &mut room[..of_result.len()];
                    drops::scale(of_result, &mut Multipliers::of(dropping, first + number), room);
                    room
                }
            };
            if let Some(sums) = &mut sums {
                lay_out(x, inner, &mut panels_of_x);
                sums.add(of_product, &panels_of_x);
            }
            if let Some((panels, of_x)) = &mut of_x {
                let into = &mut of_x[number * chunk * inner..][..x.len()];
                let from = (of_product, Layout::rows(width));
                times(from, x.len() / inner, panels, None, (into, Layout::rows(inner)));
            }
        }
    }
}
