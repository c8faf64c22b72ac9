//! Sub-layers of a transformer whose products are libtorch's, some rows at a time: norm, products, and what stands between
//! them and after them are done by one thread while these rows are near it.
//!
//! libtorch alone takes all rows through one function after the other, writes what each gives to memory and reads it there
//! again, and adds gradients up where a residual branches off. What is multiplied by AMX waits for all that longer than for
//! the products. Where own products pay ([`layers::pay`](crate::layers::pay)), [`layers`](crate::layers) are the way.
//!
//! States are float32, `[M, D]`; factors are as [`Factors`] says, and so are gradients between products. Sums over rows are
//! the same in every run with as many threads.

#[cfg(target_arch = "x86_64")]
mod nodes;
#[cfg(target_arch = "x86_64")]
mod parts;
#[cfg(target_arch = "x86_64")]
mod rows;

use crate::attention::Spans;
use crate::factors::Factors;
use crate::layers::Inner;
use tch::{Device, Kind, Tensor};

/// Whether sub-layers of these widths are served: on a processor with AVX2 and FMA, of multiples of 16.
pub fn serves(device: Device, widths: &[i64]) -> bool {
    device == Device::Cpu && widths.iter().all(|width| *width > 0 && width % 16 == 0) && crate::processor_serves()
}

/// `x + dropped(max(dropped(x̂ w₁), 0) w₂)` with x̂ the states over their root mean square, as
/// [`layers::feed_forward`](crate::layers::feed_forward); weights are factors. Differentiable.
/// // [M, D], [D, F], [F, D] to [M, D]
///
/// # Panics
/// The shapes or kinds do not fit, or [`serves`] says no.
pub fn feed_forward(states: &Tensor, into: &Tensor, out: &Tensor, inner: Inner) -> Tensor {
    let (size, into_size) = (states.size(), into.size());
    let [_, width] = size[..] else { panic!("states are [M, D], not {size:?}") };
    let [_, hidden] = into_size[..] else { panic!("weights are [D, F], not {into_size:?}") };
    let sizes = (into_size, out.size());
    assert_eq!(sizes, (vec![width, hidden], vec![hidden, width]), "weights of states {width} wide");
    check(states, &[width, hidden], [into, out], inner.factors);
    nodes::feed_forward(states, into, out, inner)
}

/// What the rows of prompts look at: keys and values that the weights around them are part of.
#[derive(Clone, Copy, Debug)]
pub struct Sights<'a> {
    /// In the kind of factors. // [B, heads * T, D]
    pub keys: &'a Tensor,
    /// In the kind of factors. // [B, heads * T, D]
    pub values: &'a Tensor,
    /// Minus infinity where no key is, and 0 elsewhere; float32. // [B, T]
    pub mask: Option<&'a Tensor>,
    /// Heads, one after the other in keys and values.
    pub heads: i64,
}

/// `x + softmax(x̂ Kᵀ + mask) V` with x̂ as above and softmax over each head's keys apart, as
/// [`layers::look`](crate::layers::look). Differentiable in states, keys and values. // [N, D] to [N, D]
///
/// # Panics
/// The spans are not all rows, one after the other, as many as prompts; keys of a head are not a multiple of 8; shapes or
/// kinds do not fit; or [`serves`] says no to the width.
pub fn look(states: &Tensor, spans: &Spans, sights: Sights<'_>, epsilon: f64) -> Tensor {
    let Sights { keys, values, mask, heads } = sights;
    let (size, of_keys) = (states.size(), keys.size());
    let [rows, width] = size[..] else { panic!("states are [N, D], not {size:?}") };
    let fits = of_keys.len() == 3 && of_keys[2] == width && heads > 0 && of_keys[1] % (8 * heads) == 0;
    assert!(fits && values.size() == of_keys, "keys {of_keys:?} and values {:?} of {heads} heads", values.size());
    let covered: usize = (0..spans.len()).map(|prompt| spans.of(prompt).len()).sum();
    let counts = (spans.rows() as i64, covered, spans.len() as i64);
    assert_eq!(counts, (rows, spans.rows(), of_keys[0]), "every row belongs to one of the prompts");
    if let Some(mask) = mask {
        let expected = (vec![of_keys[0], of_keys[1] / heads], Kind::Float);
        assert_eq!((mask.size(), mask.kind()), expected, "a mask of every prompt's keys");
    }
    let factors = if keys.kind() == Kind::BFloat16 { Factors::Bf16 } else { Factors::Float32 };
    check(states, &[width], [keys, values], factors);
    nodes::look(states, spans, sights, factors, epsilon)
}

fn check(states: &Tensor, widths: &[i64], others: [&Tensor; 2], factors: Factors) {
    assert!(serves(states.device(), widths), "`serves` says no to {widths:?} on {:?}", states.device());
    let kinds = (states.kind(), others.map(Tensor::kind));
    assert_eq!(kinds, (Kind::Float, [factors.kind(); 2]), "states are float32, and the others factors");
}

#[cfg(not(target_arch = "x86_64"))]
mod nodes {
    use super::{Inner, Sights};
    use crate::attention::Spans;
    use crate::factors::Factors;
    use tch::Tensor;

    pub fn feed_forward(_: &Tensor, _: &Tensor, _: &Tensor, _: Inner) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }

    pub fn look(_: &Tensor, _: &Spans, _: Sights<'_>, _: Factors, _: f64) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }
}
