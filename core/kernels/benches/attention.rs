//! Attention of a step of RL in the paper's sizes, forward and with gradients, beside libtorch's own products: the paths'
//! positions among each other, and the paths of a prompt over its history.
#![allow(clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use prorl_kernels::attention::{Attention, Spans};
use prorl_kernels::factors::Factors;
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);
const HEADS: i64 = 4;
const WIDTH: i64 = 64;
const INNER: i64 = HEADS * WIDTH;
const PROMPTS: i64 = 32;
const GROUP: i64 = 16;
const HISTORY: i64 = 45;

/// softmax(q kᵀ + bias) v, head by head. // [B, T, INNER]
fn plain(queries: &Tensor, keys: &Tensor, values: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let heads = |joined: &Tensor| joined.unflatten(-1, [HEADS, WIDTH]).unbind(2);
    let found = heads(queries).into_iter().zip(heads(keys)).zip(heads(values)).enumerate();
    let found = found.map(|(head, ((queries, keys), values))| {
        let mut scores = queries.bmm(&keys.transpose(1, 2));
        if let Some(bias) = bias {
            scores += bias.get(head as i64);
        }
        scores.softmax(-1, None::<Kind>).bmm(&values)
    });
    Tensor::cat(&found.collect::<Vec<_>>(), -1)
}

fn random(size: &[i64]) -> Tensor {
    Tensor::randn(size, FLOAT).set_requires_grad(true)
}

fn compare(criterion: &mut Criterion, name: &str, time: i64, ours: impl Fn() -> Tensor, plain: impl Fn() -> Tensor) {
    let mut benches = criterion.benchmark_group(name);
    benches.sample_size(20);
    let runs: [(&str, &dyn Fn() -> Tensor); 2] = [("fused", &ours), ("libtorch", &plain)];
    for (side, run) in runs {
        benches.bench_function(BenchmarkId::new(side, time), |bencher| bencher.iter(|| tch::no_grad(run)));
        let seed = tch::no_grad(|| run().randn_like());
        benches.bench_function(BenchmarkId::new(format!("{side} with gradient"), time), |bencher| {
            bencher.iter(|| (run() * &seed).sum(Kind::Float).backward());
        });
    }
}

fn attention(criterion: &mut Criterion) {
    tch::set_num_threads(2);
    for time in [13, 41] {
        let (joined, bias) = (random(&[PROMPTS * GROUP * time, 3 * INNER]), random(&[HEADS, time, time]));
        let ahead = Tensor::ones([time, time], (Kind::Bool, Device::Cpu)).triu(1);
        let spans = Spans::packed(&vec![time as usize; (PROMPTS * GROUP) as usize]);
        let fused = || {
            Attention { heads: HEADS, bias: Some(&bias), causal: true, factors: Factors::Float32, dropout: 0.0 }
                .within(&joined, &spans)
        };
        let libtorch = || {
            let parts = joined.view([-1, time, 3 * INNER]).split(INNER, -1);
            plain(&parts[0], &parts[1], &parts[2], Some(&bias.masked_fill(&ahead, f64::NEG_INFINITY)))
        };
        compare(criterion, "within paths", time, fused, libtorch);

        let queries = random(&[PROMPTS * GROUP * time, INNER]);
        let keys_values = random(&[PROMPTS * HISTORY, 2 * INNER]);
        let from = Spans::packed(&vec![(GROUP * time) as usize; PROMPTS as usize]);
        let to = Spans::packed(&vec![HISTORY as usize; PROMPTS as usize]);
        let attention = Attention { heads: HEADS, bias: None, causal: false, factors: Factors::Float32, dropout: 0.0 };
        let fused = || attention.across(&queries, &from, &keys_values, &to);
        let libtorch = || {
            let parts = keys_values.view([PROMPTS, HISTORY, 2 * INNER]).split(INNER, -1);
            plain(&queries.view([PROMPTS, -1, INNER]), &parts[0], &parts[1], None)
        };
        compare(criterion, "over a history", time, fused, libtorch);
    }
}

criterion_group!(benches, attention);
criterion_main!(benches);
