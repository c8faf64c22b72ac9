//! What a step of RL asks of the policy, in the paper's sizes: drawing, log-probabilities with their gradient, beams,
//! imitation; each in float32 and with bf16 factors.
#![allow(clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use prorl_plugin_t5::{Precision, T5Parameters, T5Policy};
use prorl_sdk::prelude::*;

const ITEMS: i64 = 3_883;
const HISTORY: i64 = 10;
const PATH: i64 = 10;
/// Prompts of a step, and paths of each.
const BATCH: (i64, i64) = (32, 16);

fn policy(precision: Precision) -> T5Policy {
    tch::manual_seed(0);
    let order = Tensor::randperm(1 << 24, (Kind::Int64, Device::Cpu)).narrow(0, 0, ITEMS + 1); // [V + 1]
    let digit = |place: i64| order.floor_divide_scalar(1 << (8 * place)).remainder(256);
    let codes = Tensor::stack(&[digit(2), digit(1), digit(0), order.zeros_like()], 1); // [V + 1, 4]
    let setup = Setup {
        items: ITEMS,
        history: HISTORY,
        path: PATH,
        codes: Some(codes),
        codebook_size: 256,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let mut policy = T5Policy::create(T5Parameters { precision, ..T5Parameters::default() }, &setup).unwrap();
    policy.set_training(false);
    policy
}

fn items(size: &[i64]) -> Tensor {
    Tensor::randint_low(1, ITEMS + 1, size, (Kind::Int64, Device::Cpu))
}

fn prompts(count: i64) -> Prompts {
    Prompts { history: items(&[count, HISTORY]), target: items(&[count]) }
}

fn a_step(criterion: &mut Criterion) {
    let (count, group) = BATCH;
    let (prompts, paths) =
        (prompts(count), Paths::from_items(items(&[count, group, 3]).constant_pad_nd([0, PATH - 3])));
    let mut benches = criterion.benchmark_group("t5");
    benches.sample_size(10);
    for precision in [Precision::Float32, Precision::Bf16] {
        let mut policy = policy(precision);
        let name = |task: &str| BenchmarkId::new(task, format!("{precision:?}").to_lowercase());
        let sampling = Decoding { forced_length: 3, ..Decoding::sample(group) };
        let beams = Decoding { forced_length: 3, ..Decoding::beam(10) };
        benches.bench_function(name("sample"), |bencher| bencher.iter(|| policy.rollout(&prompts, &sampling).unwrap()));
        benches.bench_function(name("beam"), |bencher| bencher.iter(|| policy.rollout(&prompts, &beams).unwrap()));
        benches.bench_function(name("log-probabilities with gradient"), |bencher| {
            bencher.iter(|| {
                let found = policy.log_probs(&prompts, &paths, &Query::plain()).unwrap();
                found.digits.sum(Kind::Float).backward();
            });
        });
        benches.bench_function(name("imitation"), |bencher| {
            policy.set_training(true);
            bencher.iter(|| policy.imitation_loss(&prompts, &paths).unwrap().total.backward());
            policy.set_training(false);
        });
    }
}

criterion_group!(benches, a_step);
criterion_main!(benches);
