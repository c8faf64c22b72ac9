//! Attention of each prompt's rows to keys and values that the weights around them are part of.
#![allow(unsafe_code)]

use super::panels::Panels;
use super::two_products::{Between, Both, TwoProducts};
use crate::attention::Spans;
use crate::floats::{numbers_of, numbers_of_new, split, split_mut};
use crate::lanes::{LANES, load, store, transposed};
use crate::threads::run;
use crate::tiles::{HIGH, WIDE};
use std::arch::x86_64::_mm256_setzero_ps;
use std::marker::PhantomData;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Rows that go through together, at most.
const CHUNK: usize = 16 * HIGH;

/// Sizes of a prompt's keys.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub heads: usize,
    /// Keys of a head.
    pub keys: usize,
    pub width: usize,
}

/// A prompt's keys and values, laid out; each head's are filled up to whole panels.
#[derive(Debug)]
pub struct Prompt {
    panels: Both<Panels>,
    /// Added to the scores of a head.
    mask: Vec<f32>,
}

/// Rows and what they look at.
pub struct Looking {
    pub states: Tensor, // [N, D]
    pub sizes: Sizes,
    /// Rows of each prompt.
    pub spans: Spans,
    /// Added to mean squares.
    pub epsilon: f32,
    pub prompts: Vec<Arc<Prompt>>,
}

/// Gradients of states, keys and values.
pub struct Gradients {
    pub of_states: Tensor, // [N, D]
    pub of_keys: Tensor,   // [B, heads * T, D]
    pub of_values: Tensor, // [B, heads * T, D]
}

impl Sizes {
    /// Keys of a head with those that fill its last panel.
    fn filled(self) -> usize {
        self.keys.next_multiple_of(WIDE)
    }

    /// Keys of all heads with those.
    fn hidden(self) -> usize {
        self.heads * self.filled()
    }

    /// Numbers of a prompt's keys.
    fn numbers(self) -> usize {
        self.heads * self.keys * self.width
    }

    /// Each head's rows followed by zeros.
    fn fill(self, numbers: &[f32]) -> Vec<f32> {
        let mut filled = vec![0.0; self.hidden() * self.width];
        let heads =
            filled.chunks_exact_mut(self.filled() * self.width).zip(numbers.chunks_exact(self.keys * self.width));
        heads.for_each(|(into, head)| into[..head.len()].copy_from_slice(head));
        filled
    }

    /// Writes sums `[D, hidden]` turned, without what fills panels. // [heads * T, D]
    #[target_feature(enable = "avx2,fma")]
    fn put(self, sums: &[f32], into: &mut [f32]) {
        let (hidden, filled, width) = (self.hidden(), self.filled(), self.width);
        for (first, columns) in (0..width).step_by(LANES).zip(sums.chunks_exact(LANES * hidden)) {
            for place in (0..hidden).step_by(LANES) {
                let mut square = [_mm256_setzero_ps(); LANES];
                for (lanes, column) in square.iter_mut().zip(columns.chunks_exact(hidden)) {
                    *lanes = load(&column[place..]);
                }
                let (head, key) = (place / filled, place % filled);
                for (key, row) in (key..self.keys).zip(transposed(square)) {
                    store(&mut into[(head * self.keys + key) * width + first..], row);
                }
            }
        }
    }
}

impl Prompt {
    /// Every prompt of keys and values `[B, heads * T, D]` and masks `[B, T]`.
    pub fn all(keys: &Tensor, values: &Tensor, masks: &Tensor, sizes: Sizes) -> Vec<Arc<Self>> {
        let (keys, values) = (numbers_of::<f32>(keys), numbers_of::<f32>(values));
        let both = keys.chunks_exact(sizes.numbers()).zip(values.chunks_exact(sizes.numbers()));
        let prompts = both.zip(numbers_of::<f32>(masks).chunks_exact(sizes.keys));
        run(prompts.collect(), |((keys, values), mask)| {
            let (keys, values) = (sizes.fill(keys), sizes.fill(values));
            let mut filled = vec![f32::NEG_INFINITY; sizes.filled()];
            filled[..sizes.keys].copy_from_slice(mask);
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            let panels = unsafe {
                Both { into: Panels::of_columns(&keys, sizes.width), out: Panels::of_rows(&values, sizes.width) }
            };
            Arc::new(Self { panels, mask: filled })
        })
    }
}

impl Looking {
    /// The result `[N, D]`, and attention's weights where they are to be kept `[N, hidden]`.
    pub fn forward(&self, keeps: bool) -> (Tensor, Option<Tensor>) {
        let (width, hidden) = (self.sizes.width, self.sizes.hidden());
        let mut result = self.states.empty_like();
        let mut kept =
            keeps.then(|| Tensor::empty([self.spans.rows() as i64, hidden as i64], (Kind::Float, Device::Cpu)));
        let mut keeping = kept.as_mut().map(|kept| split_mut(numbers_of_new(kept), self.lengths(hidden)).into_iter());
        let parts = split(numbers_of::<f32>(&self.states), self.lengths(width)).into_iter();
        let parts = parts.zip(split_mut(numbers_of_new::<f32>(&mut result), self.lengths(width))).zip(&self.prompts);
        let parts = parts.map(|(both, prompt)| (both, prompt, keeping.as_mut().and_then(Iterator::next)));
        let told = (self.sizes, self.epsilon);
        run(parts.collect(), |((states, into), prompt, kept)| {
            let panels = Both { into: &prompt.panels.into, out: &prompt.panels.out };
            // SAFETY: as above.
            unsafe { rows(told, states.len(), &prompt.mask).forward(states, &panels, kept, into) }
        });
        (result, kept)
    }

    /// All gradients, from weights that were kept and the gradient of the result.
    pub fn backward(&self, keys: &Tensor, values: &Tensor, kept: &Tensor, of_result: &Tensor) -> Gradients {
        let (sizes, width) = (self.sizes, self.sizes.width);
        let (of_states, of_keys) = (self.states.empty_like(), keys.empty_like());
        let mut gradients = Gradients { of_states, of_keys, of_values: values.empty_like() };
        let known = split(numbers_of::<f32>(&self.states), self.lengths(width)).into_iter();
        let known = known.zip(split(numbers_of::<f32>(kept), self.lengths(sizes.hidden())));
        let known = known.zip(split(numbers_of::<f32>(of_result), self.lengths(width)));
        let known = known.zip(split_mut(numbers_of_new::<f32>(&mut gradients.of_states), self.lengths(width)));
        let each = |tensor| numbers_of::<f32>(tensor).chunks_exact(sizes.numbers());
        let memory = each(keys).zip(each(values)).zip(&self.prompts);
        let of_keys = numbers_of_new::<f32>(&mut gradients.of_keys).chunks_exact_mut(sizes.numbers());
        let of_memory = of_keys.zip(numbers_of_new::<f32>(&mut gradients.of_values).chunks_exact_mut(sizes.numbers()));
        let told = (sizes, self.epsilon);
        run(known.zip(memory).zip(of_memory).collect(), |((known, memory), of_memory)| {
            let (((states, kept), of_result), into) = known;
            let ((keys, values), prompt) = memory;
            let (keys, values) = (sizes.fill(keys), sizes.fill(values));
            // SAFETY: as above.
            unsafe {
                let panels = Both { into: Panels::of_rows(&keys, width), out: Panels::of_columns(&values, width) };
                let rows = rows(told, states.len(), &prompt.mask);
                let sums = rows.backward((states, kept), of_result, &panels, into);
                sizes.put(sums.into.numbers(), of_memory.0);
                sizes.put(sums.out.numbers(), of_memory.1);
            }
        });
        gradients
    }

    /// Numbers of each prompt's rows.
    fn lengths(&self, width: usize) -> impl Iterator<Item = usize> {
        (0..self.spans.len()).map(move |prompt| self.spans.of(prompt).len() * width)
    }
}

/// How the rows of a prompt, so many numbers, go through: in chunks as even as tiles allow.
fn rows((sizes, epsilon): (Sizes, f32), numbers: usize, mask: &[f32]) -> TwoProducts<'_, f32> {
    let count = numbers / sizes.width;
    let chunk = count.div_ceil(count.div_ceil(CHUNK).max(1)).max(1).next_multiple_of(HIGH);
    TwoProducts {
        width: sizes.width,
        hidden: sizes.hidden(),
        chunk,
        first: 0,
        epsilon,
        between: Between::Softmax(mask),
        dropping: None,
        numbers: PhantomData,
    }
}
