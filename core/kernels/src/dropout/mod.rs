//! Dropout, with what stands beside it in a network, in one pass each way.
//!
//! libtorch writes random numbers, decisions and products to memory one after the other, and keeps a factor for every
//! number. Here nothing is kept: what is dropped is drawn again backwards, or seen from the result.
//!
//! Numbers are float32 or bf16, computed in float32. What is drawn follows from libtorch's generator, whatever the number of
//! threads; shares are in [0, 1), to the nearest 65536th.

#[cfg(target_arch = "x86_64")]
pub(crate) mod passes;

use crate::factors::Factors;
use tch::{Device, Kind, Tensor};

/// Whether this is served: float32 or bf16 on a processor with AVX2 and FMA, in rows of a multiple of 8 numbers.
pub fn serves(x: &Tensor) -> bool {
    let width = x.size().last().copied().unwrap_or(0);
    let reads = x.device() == Device::Cpu && matches!(x.kind(), Kind::Float | Kind::BFloat16);
    reads && width > 0 && width % 8 == 0 && crate::processor_serves()
}

/// Zeroes about `share` of `x` and scales the rest so that its mean stays. Differentiable. // as `x`
///
/// # Panics
/// [`serves`] says no to `x`.
pub fn dropped(x: &Tensor, share: f64) -> Tensor {
    check(x);
    served::dropped(x, share)
}

/// `max(dropped(x), 0)` as a factor of a product, of `x` in the kind of that factor. Differentiable; as everywhere, the
/// gradient at 0 is 0. // as `x`
///
/// # Panics
/// [`serves`] says no to `x`, or it is of another kind.
pub fn dropped_relu(x: &Tensor, share: f64, factors: Factors) -> Tensor {
    check(x);
    assert_eq!(x.kind(), factors.kind(), "kind of factors");
    served::dropped_relu(x, share, factors)
}

/// `states + dropped(x)`; the states and the result are float32. Differentiable in both. // as `states`
///
/// # Panics
/// [`serves`] says no to either, or their shapes differ.
pub fn plus_dropped(states: &Tensor, x: &Tensor, share: f64) -> Tensor {
    check(x);
    check(states);
    assert_eq!((states.kind(), states.size()), (Kind::Float, x.size()), "states are float32, and as what is added");
    served::plus_dropped(states, x, share)
}

fn check(x: &Tensor) {
    assert!(serves(x), "`serves` says no to {x:?}");
}

#[cfg(target_arch = "x86_64")]
mod served {
    use super::passes::{Drops, added, rectified, scaled, through};
    use crate::dropping::Dropping;
    use crate::factors::Factors;
    use crate::node::attach;
    use tch::Tensor;

    pub fn dropped(x: &Tensor, share: f64) -> Tensor {
        let Some(dropping) = Dropping::new(share) else { return x.shallow_clone() };
        let drops = Drops(Some(dropping));
        let result = scaled(drops, &x.detach().contiguous(), x.kind());
        let kind = x.kind();
        attach(&result, &[x], move |of_result| vec![Some(scaled(drops, &of_result.contiguous(), kind))]);
        result
    }

    pub fn dropped_relu(x: &Tensor, share: f64, factors: Factors) -> Tensor {
        let drops = Drops(Dropping::new(share));
        let result = rectified(drops, &x.detach().contiguous(), factors);
        let kept = result.detach();
        attach(&result, &[x], move |of_result| vec![Some(through(drops, &kept, &of_result.contiguous(), factors))]);
        result
    }

    pub fn plus_dropped(states: &Tensor, x: &Tensor, share: f64) -> Tensor {
        let (drops, kind) = (Drops(Dropping::new(share)), x.kind());
        let result = added(drops, &states.detach().contiguous(), &x.detach().contiguous());
        attach(&result, &[states, x], move |of_result| {
            let of_x = scaled(drops, &of_result.contiguous(), kind);
            vec![Some(of_result), Some(of_x)]
        });
        result
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod served {
    use crate::factors::Factors;
    use tch::Tensor;

    pub fn dropped(_: &Tensor, _: f64) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }

    pub fn dropped_relu(_: &Tensor, _: f64, _: Factors) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }

    pub fn plus_dropped(_: &Tensor, _: &Tensor, _: f64) -> Tensor {
        unreachable!("`serves` says no on this processor")
    }
}
