//! Times what an experiment on ML-1M asks of a sequence model: judging paths, an epoch of learning.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_sdk::prelude::*;
use std::time::Instant;

const ITEMS: i64 = 3883;
const HISTORY: i64 = 10;
const SEQUENCES: i64 = 6771;
const BATCH: i64 = 208;
const REPEATS: usize = 5;
const INTEGERS: (Kind, Device) = (Kind::Int64, Device::Cpu);

/// Prints the best times of `M` with default parameters.
pub fn run<M: RewardModel>() {
    tch::set_num_threads(2);
    tch::manual_seed(1);
    let setup = Setup {
        items: ITEMS,
        history: HISTORY,
        path: 10,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let mut model = M::create(M::Parameters::default(), &setup).unwrap();
    judge(&mut model, 512, 1, 3);
    judge(&mut model, 32, 16, 3);
    judge(&mut model, 32, 16, 10);
    learn(&mut model);
}

fn judge<M: RewardModel>(model: &mut M, batch: i64, group: i64, path: i64) {
    model.set_training(false);
    let prompts = Prompts {
        history: Tensor::randint_low(1, ITEMS + 1, [batch, HISTORY], INTEGERS),
        target: Tensor::randint_low(1, ITEMS + 1, [batch], INTEGERS),
    };
    let paths = Paths::from_items(Tensor::randint_low(1, ITEMS + 1, [batch, group, path], INTEGERS));
    let _guard = tch::no_grad_guard();
    let best = best(20, || {
        model.score_paths(&prompts, &paths).unwrap();
    });
    println!("score_paths  B {batch:3} G {group:2} P {path:2}: {:8.1} ms", 1e3 * best);
}

/// An epoch: every position of every sequence, in batches of about 2,048 labels.
fn learn<M: RewardModel>(model: &mut M) {
    model.set_training(true);
    for sorted in [false, true] {
        let batches = batches(sorted);
        let labels: i64 = batches.iter().map(|batch| batch.labels.ne(0).sum(Kind::Int64).int64_value(&[])).sum();
        let forward = best(REPEATS, || {
            for batch in &batches {
                let _guard = tch::no_grad_guard();
                model.loss(batch).unwrap();
            }
        });
        let both = best(REPEATS, || {
            for batch in &batches {
                model.loss(batch).unwrap().total.backward();
            }
        });
        println!(
            "epoch of {labels} labels, {}: forward {forward:.2} s, with backward {both:.2} s",
            if sorted { "batched by length" } else { "lengths mixed" },
        );
    }
}

/// Sequences of 1 to 19 items, about 9.8 labels each as in ML-1M.
fn batches(sorted: bool) -> Vec<Sequences> {
    let mut length = Tensor::randint_low(1, 20, [SEQUENCES], INTEGERS);
    if sorted {
        length = length.sort(0, false).0;
    }
    let holds = Tensor::arange(19, INTEGERS).lt_tensor(&length.unsqueeze(-1));
    let draw = || Tensor::randint_low(1, ITEMS + 1, [SEQUENCES, 19], INTEGERS) * holds.to_kind(Kind::Int64);
    let (items, labels) = (draw(), draw());
    (0..SEQUENCES)
        .step_by(BATCH as usize)
        .map(|start| {
            let count = BATCH.min(SEQUENCES - start);
            Sequences { items: items.narrow(0, start, count), labels: labels.narrow(0, start, count) }
        })
        .collect()
}

fn best(repeats: usize, mut work: impl FnMut()) -> f64 {
    (0..repeats)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}
