//! Layers of an update in the paper's sizes, forward and with gradients, beside the same by libtorch's products: function by
//! function, and for whole sub-layers by rows.
#![allow(clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use prorl_kernels::factors::Factors;
use prorl_kernels::layers::{self, Inner, Weights};
use prorl_kernels::norm::root_mean_square;
use prorl_kernels::sublayers;
use tch::{Device, Kind, Tensor};

/// Tokens of 512 paths of 13.
const TOKENS: i64 = 512 * 13;
const WIDTH: i64 = 128;
const HEADS: i64 = 256;
const FEED_FORWARD: i64 = 512;
const EPSILON: f64 = 1e-6;

fn random(rows: i64, width: i64) -> Tensor {
    Tensor::randn([rows, width], (Kind::Float, Device::Cpu)).set_requires_grad(true)
}

fn compare(criterion: &mut Criterion, name: &str, ways: &[(&str, &dyn Fn() -> Tensor)]) {
    let mut benches = criterion.benchmark_group(name);
    benches.sample_size(20);
    for (side, run) in ways {
        benches.bench_function(*side, |bencher| bencher.iter(|| tch::no_grad(run)));
        let of_result = tch::no_grad(|| run().randn_like());
        benches.bench_function(format!("{side} with gradient"), |bencher| {
            bencher.iter(|| (run() * &of_result).sum(Kind::Float).backward());
        });
    }
}

fn layers(criterion: &mut Criterion) {
    tch::set_num_threads(2);
    let (states, found) = (random(TOKENS, WIDTH), random(TOKENS, HEADS));
    let (joined, output) = (random(WIDTH, 3 * HEADS), random(HEADS, WIDTH));
    let (into, out) = (random(WIDTH, FEED_FORWARD), random(FEED_FORWARD, WIDTH));
    let normal = || root_mean_square(&states, EPSILON, Factors::Float32);
    let weights = |w: &Tensor| Weights::of(w.shallow_clone());
    let ours = || layers::projection(&states, &weights(&joined), EPSILON, Factors::Float32);
    let plain = || normal().mm(&joined);
    compare(criterion, "queries, keys and values", &[("in chunks", &ours), ("libtorch", &plain)]);
    let ours = || layers::residual(&states, &found, &weights(&output), 0.0);
    let plain = || states.addmm(&found, &output);
    compare(criterion, "output", &[("in chunks", &ours), ("libtorch", &plain)]);
    let inner = Inner { epsilon: EPSILON, factors: Factors::Float32, dropout: 0.0 };
    let ours = || layers::feed_forward(&states, &weights(&into), &weights(&out), inner);
    let by_rows = || sublayers::feed_forward(&states, &into, &out, inner);
    let plain = || states.addmm(&normal().mm(&into).relu(), &out);
    compare(criterion, "feed-forward", &[("in chunks", &ours), ("by rows", &by_rows), ("libtorch", &plain)]);
}

criterion_group!(benches, layers);
criterion_main!(benches);
