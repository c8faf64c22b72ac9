//! Dropout of a step of imitation in the paper's sizes, forward and with gradients, beside libtorch's functions: inner
//! activations with theirs, and states with a residual.
#![allow(clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use prorl_kernels::dropout::{dropped_relu, plus_dropped};
use prorl_kernels::factors::Factors;
use tch::{Device, Kind, Tensor};

/// Tokens of 256 prompts of 45.
const TOKENS: i64 = 256 * 45;
const WIDTH: i64 = 128;
const FEED_FORWARD: i64 = 512;
const SHARE: f64 = 0.1;

fn random(width: i64) -> Tensor {
    Tensor::randn([TOKENS, width], (Kind::Float, Device::Cpu)).set_requires_grad(true)
}

fn compare(criterion: &mut Criterion, name: &str, ours: impl Fn() -> Tensor, plain: impl Fn() -> Tensor) {
    let mut benches = criterion.benchmark_group(name);
    benches.sample_size(20);
    let runs: [(&str, &dyn Fn() -> Tensor); 2] = [("one pass", &ours), ("libtorch", &plain)];
    for (side, run) in runs {
        benches.bench_function(side, |bencher| bencher.iter(|| tch::no_grad(run)));
        let of_result = tch::no_grad(|| run().randn_like());
        benches.bench_function(format!("{side} with gradient"), |bencher| {
            bencher.iter(|| (run() * &of_result).sum(Kind::Float).backward());
        });
    }
}

fn dropout(criterion: &mut Criterion) {
    tch::set_num_threads(2);
    let (inner, states, change) = (random(FEED_FORWARD), random(WIDTH), random(WIDTH));
    let ours = || dropped_relu(&inner, SHARE, Factors::Float32);
    compare(criterion, "activations", ours, || inner.dropout(SHARE, true).relu());
    let ours = || plus_dropped(&states, &change, SHARE);
    compare(criterion, "residual", ours, || &states + change.dropout(SHARE, true));
}

criterion_group!(benches, dropout);
criterion_main!(benches);
