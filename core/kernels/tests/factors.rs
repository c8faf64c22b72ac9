//! Rounding of factors beside libtorch's.
#![allow(clippy::unwrap_used)]

use prorl_kernels::dropout::{plus_dropped, serves};
use prorl_kernels::factors::Factors;
use tch::{Device, Kind, Tensor};

#[test]
fn rounding_is_that_of_libtorch() {
    // Every upper half of a number, with lower halves around the middle between two numbers of bf16.
    let upper = Tensor::arange_start(-32768, 32768, (Kind::Int, Device::Cpu)) * 65536;
    for lower in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
        let x = (&upper + lower).view_dtype(Kind::Float);
        let theirs = x.to_kind(Kind::BFloat16);
        let ours = Factors::Rounded.of(&x);
        assert!(agree(&ours, &theirs.to_kind(Kind::Float)), "{lower:#x}");
        if serves(&theirs) {
            let read = plus_dropped(&Tensor::zeros([65536], (Kind::Float, Device::Cpu)), &theirs, 0.0);
            assert!(agree(&read, &theirs.to_kind(Kind::Float)), "{lower:#x}");
        }
    }
}

/// Whether numbers are the same, and what is no number is none.
fn agree(ours: &Tensor, theirs: &Tensor) -> bool {
    bool::try_from(ours.eq_tensor(theirs).logical_or(&ours.isnan().logical_and(&theirs.isnan())).all()).unwrap()
}

fn gradient(result: &Tensor, of_result: &Tensor, input: &Tensor) -> Tensor {
    let loss = (result * of_result.to_kind(result.kind())).sum(Kind::Float);
    Tensor::run_backward(&[loss], &[input], false, false).remove(0)
}

#[test]
fn rounded_factors_are_those_of_bf16() {
    for size in [[40, 32], [40, 30]] {
        let x = Tensor::randn(size, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let of_result = Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (rounded, own) = (Factors::Rounded.of(&x), Factors::Bf16.of(&x));
        assert_eq!((rounded.kind(), own.kind()), (Kind::Float, Kind::BFloat16));
        assert_eq!(rounded, own.to_kind(Kind::Float));
        assert_eq!(gradient(&rounded, &of_result, &x), gradient(&own, &of_result, &x));
        assert_eq!(Factors::Float32.of(&x), x);
    }
}
