//! Layers whose products are with weights that many rows share: what stands around a product is done while its rows are
//! near the processor.
//!
//! libtorch writes what every function gives to memory, reads it there again, and copies both factors of a product before it
//! multiplies. Here rows go through a layer in chunks: weights are laid out once, rows are read where they lie, and threads
//! take chunks as they come, so that none waits for one that is held up.
//!
//! Shapes are `[M, ..]` for rows, `[K, N]` for weights; these lie by rows or, as the view of a transpose, by columns. Sums
//! and gradients are float32; factors may be rounded to bf16.

#[cfg(target_arch = "x86_64")]
mod by_rows;
#[cfg(target_arch = "x86_64")]
mod cut;
#[cfg(target_arch = "x86_64")]
pub(crate) mod drops;
#[cfg(target_arch = "x86_64")]
mod feed_forward;
#[cfg(target_arch = "x86_64")]
mod looking;
mod memory;
#[cfg(target_arch = "x86_64")]
mod panels;
#[cfg(target_arch = "x86_64")]
mod projection;
#[cfg(target_arch = "x86_64")]
mod residual;
#[cfg(target_arch = "x86_64")]
mod softmax;
#[cfg(target_arch = "x86_64")]
mod sums;
#[cfg(target_arch = "x86_64")]
mod two_products;
mod weights;

pub use memory::Memory;
pub use weights::Weights;

use crate::attention::Spans;
use crate::factors::Factors;
use tch::{Device, Kind, Tensor};

/// Whether layers of these widths are served: on a processor with AVX2 and FMA, with factors that are multiplied in
/// float32, of multiples of 16.
pub fn serves(device: Device, factors: Factors, widths: &[i64]) -> bool {
    let fits = widths.iter().all(|width| *width > 0 && width % 16 == 0);
    device == Device::Cpu && factors != Factors::Bf16 && fits && crate::processor_serves()
}

/// Whether they take less than libtorch's products, which use the wider vectors of AVX-512 where there are any.
pub fn pay() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `x w`, of factors. Differentiable. // [M, K] to [M, N]
///
/// # Panics
/// The shapes do not fit, or [`serves`] says no.
pub fn product(x: &Tensor, w: &Weights) -> Tensor {
    check(x, &[w]);
    served::projection(x, w, None, Factors::Float32)
}

/// `x̂ w` with x̂ the states over their root mean square, `x / sqrt(mean(x²) + epsilon)`, as factors
/// ([`norm::root_mean_square`](crate::norm::root_mean_square)). Differentiable. // [M, K] to [M, N]
///
/// # Panics
/// As [`product`].
pub fn projection(states: &Tensor, w: &Weights, epsilon: f64, factors: Factors) -> Tensor {
    check(states, &[w]);
    served::projection(states, w, Some(epsilon as f32), factors)
}

/// `states + dropped(x w)`, of factors x and w, with dropout of a share in [0, 1). Differentiable. // [M, N]
///
/// # Panics
/// As [`product`].
pub fn residual(states: &Tensor, x: &Tensor, w: &Weights, share: f64) -> Tensor {
    check(x, &[w]);
    let size = vec![x.size()[0], w.tensor().size()[1]];
    assert_eq!((states.kind(), states.size()), (Kind::Float, size), "states are as what is added to them");
    served::residual(states, x, w, share)
}

/// A feed-forward layer's switches.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    /// Added to mean squares.
    pub epsilon: f64,
    /// How its factors are kept.
    pub factors: Factors,
    /// Share of activations, and of what is added to states, that is dropped: in [0, 1).
    pub dropout: f64,
}

/// `x + dropped(max(dropped(x̂ w₁), 0) w₂)`, with x̂ as in [`projection`], `w₁` `[D, F]` and `w₂` `[F, D]`: T5's (Raffel et
/// al., arXiv 1910.10683, section 2.1). Differentiable. // [M, D] to [M, D]
///
/// # Panics
/// As [`product`].
pub fn feed_forward(states: &Tensor, into: &Weights, out: &Weights, inner: Inner) -> Tensor {
    check(states, &[into, out]);
    assert_eq!(out.tensor().size()[1], states.size()[1], "what is added to states is as wide");
    served::feed_forward(states, into, out, inner)
}

/// `x + softmax(x̂ Kᵀ + mask) V` with x̂ as in [`projection`] and softmax over each head's keys apart: attention of each
/// prompt's rows to its memory, whose keys and values the weights around them are part of. Differentiable. // [N, D] to
/// [N, D]
///
/// # Panics
/// The spans are not all rows, one after the other, as many as the memory's prompts; or [`serves`] says no to the width.
pub fn look(states: &Tensor, spans: &Spans, memory: &Memory, epsilon: f64) -> Tensor {
    let covered: usize = (0..spans.len()).map(|prompt| spans.of(prompt).len()).sum();
    assert_eq!((covered, spans.len()), (spans.rows(), memory.prompts()), "every row belongs to one of the prompts");
    assert_eq!(states.size(), [spans.rows() as i64, memory.width()], "states of every row, as wide as keys");
    served::look(states, spans, memory, epsilon)
}

fn check(x: &Tensor, weights: &[&Weights]) {
    let mut size = x.size();
    for w in weights {
        let w = w.tensor();
        let next = w.size();
        let fits = size.len() == 2 && next.len() == 2 && next[0] == size[1];
        assert!(fits, "{size:?} by {next:?}: rows by as many rows of weights as these have columns");
        let (kind, device) = ((x.kind(), w.kind()), (x.device(), w.device()));
        let served = device.0 == device.1 && serves(device.0, Factors::Float32, &next);
        assert!(served && kind == (Kind::Float, Kind::Float), "`serves` says no to {x:?} by {w:?}");
        size = vec![size[0], next[1]];
    }
}

#[cfg(target_arch = "x86_64")]
mod served {
    use super::Inner;
    use super::feed_forward::{FeedForward, Gradients};
    use super::looking::{self, Looking};
    use super::memory::Memory;
    use super::projection::Projection;
    use super::residual::Residual;
    use super::two_products::Both;
    use super::weights::Weights;
    use crate::attention::Spans;
    use crate::dropping::Dropping;
    use crate::factors::Factors;
    use crate::node::{attach, wanted};
    use crate::number::{Number, Rounded};
    use std::marker::PhantomData;
    use tch::Tensor;

    /// What own passes read.
    fn plain(x: &Tensor) -> Tensor {
        x.detach().contiguous()
    }

    pub fn projection(states: &Tensor, w: &Weights, epsilon: Option<f32>, factors: Factors) -> Tensor {
        match factors {
            Factors::Float32 => projection_of::<f32>(states, w, epsilon),
            Factors::Rounded => projection_of::<Rounded>(states, w, epsilon),
            Factors::Bf16 => unreachable!("`serves` says no to such factors"),
        }
    }

    fn projection_of<N: Number>(states: &Tensor, w: &Weights, epsilon: Option<f32>) -> Tensor {
        let wanted = [states.requires_grad(), w.tensor().requires_grad()];
        let (kept, weights) = (plain(states), w.lying());
        let layer = Projection::<N> { states: kept, weights, epsilon, numbers: PhantomData };
        let result = layer.forward(w.panels());
        attach(&result, &[states, w.tensor()], move |of_result| layer.backward(&of_result.contiguous(), wanted).into());
        result
    }

    pub fn residual(states: &Tensor, x: &Tensor, w: &Weights, share: f64) -> Tensor {
        let wanted = [x.requires_grad(), w.tensor().requires_grad()];
        let layer = Residual { x: plain(x), weights: w.lying(), dropping: Dropping::new(share) };
        let result = layer.forward(&plain(states), w.panels());
        attach(&result, &[states, x, w.tensor()], move |of_result| {
            let [of_x, of_w] = layer.backward(&of_result.contiguous(), wanted);
            vec![Some(of_result), of_x, of_w]
        });
        result
    }

    pub fn feed_forward(states: &Tensor, into: &Weights, out: &Weights, inner: Inner) -> Tensor {
        match inner.factors {
            Factors::Float32 => feed_forward_of::<f32>(states, into, out, inner),
            Factors::Rounded => feed_forward_of::<Rounded>(states, into, out, inner),
            Factors::Bf16 => unreachable!("`serves` says no to such factors"),
        }
    }

    fn feed_forward_of<N: Number>(states: &Tensor, into: &Weights, out: &Weights, inner: Inner) -> Tensor {
        let inputs = [states, into.tensor(), out.tensor()];
        let keeps = wanted(&inputs);
        let layer = FeedForward::<N> {
            states: plain(states),
            into: into.lying(),
            out: out.lying(),
            epsilon: inner.epsilon as f32,
            dropping: std::array::from_fn(|_| Dropping::new(inner.dropout)),
            numbers: PhantomData,
        };
        let (result, kept) = layer.forward(&Both { into: into.panels(), out: out.panels() }, keeps);
        if let Some(kept) = kept {
            attach(&result, &inputs, move |of_result| {
                let Gradients { of_states, of_into, of_out } = layer.backward(&kept, &of_result.contiguous());
                vec![Some(of_states), Some(of_into), Some(of_out)]
            });
        }
        result
    }

    pub fn look(states: &Tensor, spans: &Spans, memory: &Memory, epsilon: f64) -> Tensor {
        let (keys, values) = memory.both();
        let inputs = [states, keys, values];
        let looking = Looking {
            states: plain(states),
            sizes: memory.sizes(),
            spans: spans.clone(),
            epsilon: epsilon as f32,
            prompts: memory.laid_out(),
        };
        let (result, kept) = looking.forward(wanted(&inputs));
        if let Some(kept) = kept {
            let (keys, values) = (plain(keys), plain(values));
            attach(&result, &inputs, move |of_result| {
                let looking::Gradients { of_states, of_keys, of_values } =
                    looking.backward(&keys, &values, &kept, &of_result.contiguous());
                vec![Some(of_states), Some(of_keys), Some(of_values)]
            });
        }
        result
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod served {
    use super::{Inner, Memory, Weights};
    use crate::attention::Spans;
    use crate::factors::Factors;
    use tch::Tensor;

    pub fn projection(_: &Tensor, _: &Weights, _: Option<f32>, _: Factors) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }

    pub fn residual(_: &Tensor, _: &Tensor, _: &Weights, _: f64) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }

    pub fn look(_: &Tensor, _: &Spans, _: &Memory, _: f64) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }

    pub fn feed_forward(_: &Tensor, _: &Weights, _: &Weights, _: Inner) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }
}
