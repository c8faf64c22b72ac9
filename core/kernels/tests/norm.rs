//! The norm beside libtorch's functions.

use prorl_kernels::factors::Factors;
use prorl_kernels::norm::{root_mean_square, serves};
use tch::{Device, Kind, Tensor};

fn plain(x: &Tensor, epsilon: f64) -> Tensor {
    let x = x.to_kind(Kind::Double);
    let mean_square = (&x * &x).mean_dim([-1].as_slice(), true, Kind::Double);
    &x * (mean_square + epsilon).rsqrt()
}

#[test]
fn rows_and_gradients_agree_with_libtorch() {
    if !serves(Device::Cpu, Kind::Float, 128) {
        eprintln!("skipped: this processor has no AVX2");
        return;
    }
    tch::manual_seed(1);
    for (rows, width, scale) in [(3000, 128, 1.0), (1, 8, 1e-4), (7, 40, 1e3), (1001, 64, 0.0)] {
        let x = (Tensor::randn([rows, width], (Kind::Float, Device::Cpu)) * scale).set_requires_grad(true);
        let seed = Tensor::randn([rows, width], (Kind::Float, Device::Cpu));
        let (ours, theirs) = (root_mean_square(&x, 1e-6, Factors::Float32), plain(&x, 1e-6));
        (&ours * &seed).sum(Kind::Double).backward();
        let of_ours = x.grad().copy();
        let _ = x.grad().zero_();
        (&theirs * seed.to_kind(Kind::Double)).sum(Kind::Double).backward();
        for (ours, theirs) in [(&ours, &theirs), (&of_ours, &x.grad())] {
            let most = theirs.abs().max().double_value(&[]).max(1e-30);
            let off = (ours.to_kind(Kind::Double) - theirs.to_kind(Kind::Double)).abs().max().double_value(&[]) / most;
            assert!(off < 3e-6, "{rows} rows of {width} at {scale}: {off}");
        }
    }
}

/// A factor in bf16 is the nearest number, and the gradient is that of the factor as it was rounded.
#[test]
fn rows_in_bf16_are_the_nearest_ones() {
    if !serves(Device::Cpu, Kind::Float, 128) {
        return;
    }
    tch::manual_seed(2);
    let x = Tensor::randn([700, 128], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let theirs = root_mean_square(&x, 1e-6, Factors::Float32);
    let ours = [Factors::Bf16, Factors::Rounded].map(|factors| root_mean_square(&x, 1e-6, factors));
    assert_eq!(ours[0], theirs.to_kind(Kind::BFloat16));
    assert_eq!(ours[1], ours[0].to_kind(Kind::Float));
    let seed = Tensor::randn([700, 128], (Kind::BFloat16, Device::Cpu));
    let gradient = |result: &Tensor| {
        (result * seed.to_kind(result.kind())).sum(Kind::Float).backward();
        let gradient = x.grad().copy();
        let _ = x.grad().zero_();
        gradient
    };
    let (ours, theirs) = (ours.each_ref().map(gradient), gradient(&theirs));
    assert_eq!(ours[0], ours[1]);
    let [ours, _] = ours;
    let off = (&ours - &theirs).abs().max().double_value(&[]) / theirs.abs().max().double_value(&[]);
    assert!(off < 0.004 && off > 0.0, "{off}: a bf16 number is off by a 512th at most");
}

#[test]
fn rows_that_are_no_rows_are_refused() {
    assert!(!serves(Device::Cpu, Kind::Double, 128) && !serves(Device::Cpu, Kind::Float, 12));
}

#[test]
fn no_rows_are_fine() {
    if serves(Device::Cpu, Kind::Float, 16) {
        assert_eq!(
            root_mean_square(&Tensor::ones([0, 16], (Kind::Float, Device::Cpu)), 1e-6, Factors::Float32).size(),
            [0, 16]
        );
    }
}
