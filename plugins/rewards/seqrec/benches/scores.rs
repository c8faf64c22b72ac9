//! Products of states with all items: the cross-entropy of training, the ranks of judging, and what sampling saves.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prorl_seqrec::{cross_entropy, rank, sampled_softmax};
use tch::{Device, Kind, Tensor};

const WIDTH: i64 = 64;
/// Positions of a batch, as RecBole's.
const POSITIONS: i64 = 2_048;
/// Items: of ML-1M, of a large shop.
const CATALOGUES: [i64; 2] = [3_883, 100_000];

fn table(rows: i64) -> Tensor {
    Tensor::randn([rows, WIDTH], (Kind::Float, Device::Cpu)) * 0.1
}

fn labels(items: i64, count: i64) -> Tensor {
    Tensor::randint_low(1, items + 1, [count], (Kind::Int64, Device::Cpu))
}

fn training(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10).throughput(Throughput::Elements(POSITIONS as u64));
    for items in CATALOGUES {
        let (states, embedding) = (table(POSITIONS).set_requires_grad(true), table(items + 1).set_requires_grad(true));
        let labels = labels(items, POSITIONS);
        group.bench_function(BenchmarkId::new("all items", items), |bencher| {
            bencher.iter(|| cross_entropy::mean(&states, &embedding, &labels).backward());
        });
        group.bench_function(BenchmarkId::new("2,048 sampled items", items), |bencher| {
            bencher.iter(|| {
                let drawn = sampled_softmax::draw(2_048, &embedding);
                sampled_softmax::mean(&states, &embedding, &labels, &drawn).backward();
            });
        });
    }
}

fn judging(criterion: &mut Criterion) {
    let _guard = tch::no_grad_guard();
    let mut group = criterion.benchmark_group("judging");
    group.sample_size(10).throughput(Throughput::Elements(POSITIONS as u64));
    for items in CATALOGUES {
        let (states, embedding, labels) = (table(POSITIONS), table(items + 1), labels(items, POSITIONS));
        group.bench_function(BenchmarkId::new("ranks of targets", items), |bencher| {
            bencher.iter(|| rank::of_targets(&states, &embedding, &labels));
        });
    }
}

criterion_group!(benches, training, judging);
criterion_main!(benches);
