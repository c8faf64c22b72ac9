//! Attention over many short sequences: scores, softmax and mixing of a head in one pass over numbers that stay in the
//! caches, with gradients of its own.
//!
//! libtorch multiplies such small matrices one by one, packs each of them first, and writes scores and probabilities to
//! memory in between. Here sequences lie side by side, each as long as it is, a causal head computes what lies before its
//! queries only, and what the backward pass keeps is two numbers a query and head.
//!
//! The numbers are those of `softmax(q kᵀ + bias) v` up to the rounding of float32; factors of fewer bits, and what is found,
//! are rounded, and all between them is float32. So it is, too, in a processor's registers of matrices (AMX), which multiply
//! such factors, but for probabilities and gradients of scores, which become factors there.

mod spans;

#[cfg(target_arch = "x86_64")]
mod backward;
#[cfg(target_arch = "x86_64")]
mod call;
#[cfg(target_arch = "x86_64")]
mod few;
#[cfg(target_arch = "x86_64")]
mod forward;
#[cfg(target_arch = "x86_64")]
mod matrices;
#[cfg(target_arch = "x86_64")]
mod output;
#[cfg(target_arch = "x86_64")]
mod parts;
#[cfg(target_arch = "x86_64")]
mod sequence;
#[cfg(target_arch = "x86_64")]
mod softmax;
#[cfg(target_arch = "x86_64")]
mod whole;

pub use spans::Spans;

use crate::factors::Factors;
use tch::{Device, Tensor};

/// What all heads of a call share.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// Heads, side by side in every row.
    pub heads: i64,
    /// Added to the scores of every sequence; its gradient is the sum over sequences. // [heads, T, T'], T and T' at least
    /// as long as the longest sequence of queries and keys
    pub bias: Option<&'a Tensor>,
    /// Whether a query sees the keys up to its own place alone.
    pub causal: bool,
    /// How queries, keys and values are kept, and what is found.
    pub factors: Factors,
    /// Share of probabilities that is dropped, in [0, 1), drawn from libtorch's generator.
    pub dropout: f64,
}

/// Whether attention is served: on a processor with AVX2 and FMA, for heads of a multiple of 16 numbers.
pub fn serves(device: Device, width: i64) -> bool {
    device == Device::Cpu && width % 16 == 0 && crate::processor_serves()
}

/// Whether probabilities are rounded to bf16 where they mix values, and gradients of scores where they are multiplied: for
/// factors of bf16 in heads of a multiple of 32 numbers, on a processor that has registers of matrices; for queries that are
/// too few for these, too.
pub fn rounds_probabilities(factors: Factors, width: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::number::with_numbers!(factors, N => crate::matrices::serve::<N>(width as usize));
    #[cfg(not(target_arch = "x86_64"))]
    false
}

impl Attention<'_> {
    /// What the positions of each sequence find among each other. `joined` holds queries, keys and values side by side,
    /// each with its heads side by side. // [N, 3 * heads * width] to [N, heads * width]
    ///
    /// Differentiable in `joined` and in the bias. Rows that belong to no sequence find zeros.
    ///
    /// # Panics
    /// Shapes do not fit, or [`serves`] says no.
    pub fn within(&self, joined: &Tensor, spans: &Spans) -> Tensor {
        let inner = joined.size()[1] / 3;
        self.run([joined, joined], [0, inner, 2 * inner], [spans, spans], None)
    }

    /// What queries find in the sequences of the same number, keys and values side by side.
    /// // [N, heads * width] and [N', 2 * heads * width] to [N, heads * width]
    ///
    /// Differentiable in both and in the bias.
    ///
    /// # Panics
    /// As [`Attention::within`].
    pub fn across(&self, queries: &Tensor, from: &Spans, keys_values: &Tensor, to: &Spans) -> Tensor {
        let inner = queries.size()[1];
        self.run([queries, keys_values], [0, 0, inner], [from, to], None)
    }

    /// The same for some positions of the sequences that are seen themselves: `places`, ascending in each sequence, say where
    /// in it each query is, for the bias and for what a causal one sees.
    ///
    /// # Panics
    /// As [`Attention::within`].
    pub fn from_places(
        &self,
        queries: &Tensor,
        from: &Spans,
        places: &[usize],
        keys_values: &Tensor,
        to: &Spans,
    ) -> Tensor {
        let inner = queries.size()[1];
        self.run([queries, keys_values], [0, 0, inner], [from, to], Some(places))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn run(&self, _: [&Tensor; 2], _: [i64; 3], _: [&Spans; 2], _: Option<&[usize]>) -> Tensor {
        panic!("`serves` says no on this processor");
    }
}
