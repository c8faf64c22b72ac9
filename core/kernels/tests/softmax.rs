//! The softmax beside libtorch's functions.
#![allow(clippy::unwrap_used)]

use prorl_kernels::softmax::{masked, serves};
use tch::{Device, Kind, Tensor};

const FLOATS: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Some columns of every element hidden, the last ones.
fn mask(batch: i64, width: i64) -> Tensor {
    let left = Tensor::randint_low(1, width + 1, [batch, 1], (Kind::Int64, Device::Cpu));
    let hidden = Tensor::arange(width, (Kind::Int64, Device::Cpu)).ge_tensor(&left);
    Tensor::zeros([batch, width], FLOATS).masked_fill(&hidden, f64::NEG_INFINITY)
}

fn plain(scores: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let scores = scores.to_kind(Kind::Double);
    match mask {
        Some(mask) => (scores + mask.view([mask.size()[0], 1, 1, -1])).softmax(-1, None::<Kind>),
        None => scores.softmax(-1, None::<Kind>),
    }
}

fn gradient(result: &Tensor, seed: &Tensor, of: &Tensor) -> Tensor {
    (result * seed.to_kind(result.kind())).sum(Kind::Double).backward();
    let gradient = of.grad().to_kind(Kind::Double);
    let _ = of.grad().zero_();
    gradient
}

fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    (ours.to_kind(Kind::Double) - theirs).abs().max().double_value(&[])
}

#[test]
fn weights_and_gradients_agree_with_libtorch() {
    if !serves(&Tensor::zeros([1, 1], FLOATS)) {
        eprintln!("skipped: this processor has no AVX2");
        return;
    }
    tch::manual_seed(4);
    // Of a weight in bf16, 8 bits count; so too of its gradient, which is at most as large as the seed.
    for (kind, near) in [(Kind::Float, 2e-6), (Kind::BFloat16, 1.0 / 100.0)] {
        for (batch, rows, width) in [(3, 200, 45), (1, 1, 1), (5, 2, 8), (4, 3, 7), (32, 41, 62)] {
            let scores = (Tensor::randn([batch, rows, 4, width], FLOATS) * 3.0).to_kind(kind).set_requires_grad(true);
            let seed = Tensor::rand(scores.size(), FLOATS).to_kind(kind);
            for mask in [Some(mask(batch, width)), None] {
                let (ours, theirs) = (masked(&scores, mask.as_ref()), plain(&scores, mask.as_ref()));
                assert_eq!(ours.kind(), kind);
                assert!(off(&ours, &theirs) < near, "{kind:?} {width}: {}", off(&ours, &theirs));
                let of_ours = gradient(&ours, &seed, &scores);
                let of_theirs = gradient(&theirs, &seed, &scores);
                assert!(off(&of_ours, &of_theirs) < near, "{kind:?} {width}: {}", off(&of_ours, &of_theirs));
                if let Some(mask) = &mask {
                    let hidden = mask.isneginf().view([batch, 1, 1, width]).expand_as(&ours);
                    assert_eq!(ours.masked_select(&hidden).abs().sum(Kind::Double).double_value(&[]), 0.0);
                }
            }
        }
    }
}

/// In bf16 a weight is the nearest number to what float32 gives.
#[test]
fn weights_in_bf16_are_rounded_once() {
    if !serves(&Tensor::zeros([1, 1], FLOATS)) {
        return;
    }
    tch::manual_seed(5);
    let scores = (Tensor::randn([6, 30, 4, 45], FLOATS) * 3.0).to_kind(Kind::BFloat16);
    let mask = mask(6, 45);
    let exact = masked(&scores.to_kind(Kind::Float), Some(&mask));
    assert_eq!(masked(&scores, Some(&mask)), exact.to_kind(Kind::BFloat16));
}

#[test]
fn of_nothing_there_is_nothing() {
    if serves(&Tensor::zeros([1, 1], FLOATS)) {
        assert_eq!(masked(&Tensor::zeros([0, 4, 5], FLOATS), None).size(), [0, 4, 5]);
        assert_eq!(masked(&Tensor::zeros([2, 4, 0], FLOATS), None).size(), [2, 4, 0]);
    }
}
