//! bf16 products: close to float32, the same for what is drawn and what is differentiated, and with whole gradients.
#![allow(clippy::unwrap_used)]

use prorl_plugin_t5::{Precision, T5Parameters, T5Policy};
use prorl_sdk::prelude::*;

const ITEMS: i64 = 60;

fn policy(precision: Precision) -> T5Policy {
    let codes: Vec<i64> = (0..=ITEMS).flat_map(|item| [item / 8, item % 8]).collect();
    let setup = Setup {
        items: ITEMS,
        history: 4,
        path: 3,
        codes: Some(Tensor::from_slice(&codes).view([-1, 2])),
        codebook_size: 8,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    T5Policy::create(T5Parameters { precision, ..T5Parameters::default() }, &setup).unwrap()
}

/// Two policies with the same weights.
fn policies() -> (T5Policy, T5Policy) {
    let (rounded, exact) = (policy(Precision::Bf16), policy(Precision::Float32));
    for ((_, mut own), (_, other)) in rounded.parameters().into_iter().zip(exact.parameters()) {
        tch::no_grad(|| own.copy_(&other));
    }
    (rounded, exact)
}

fn prompts() -> Prompts {
    let items = |size: &[i64]| Tensor::randint_low(1, ITEMS + 1, size, (Kind::Int64, Device::Cpu));
    Prompts { history: items(&[6, 4]), target: items(&[6]) }
}

fn path_log_probs(policy: &mut T5Policy, prompts: &Prompts, paths: &Paths) -> Tensor {
    let digits = policy.log_probs(prompts, paths, &Query::plain()).unwrap().digits; // [B, G, P + 1, L]
    digits.sum_dim_intlist([-2i64, -1].as_slice(), false, Kind::Float) // [B, G]
}

fn largest(difference: &Tensor) -> f64 {
    difference.abs().max().double_value(&[])
}

#[test]
fn bf16_is_near_float32_and_what_is_drawn_is_what_is_differentiated() {
    let (mut rounded, mut exact) = policies();
    let prompts = prompts();
    let rollout = rounded.rollout(&prompts, &Decoding::sample(8)).unwrap();
    let paths = rollout.paths();
    let own = path_log_probs(&mut rounded, &prompts, &paths);
    let apart = largest(&(&own - path_log_probs(&mut exact, &prompts, &paths)));
    assert!(apart > 1e-5, "bf16 rounds nothing: {apart}");
    assert!(apart < 0.3, "{apart} nats a path");
    let gap = largest(&(&own - &rollout.score));
    assert!(gap < apart.max(0.05), "{gap}");
    assert_eq!(own.kind(), Kind::Float);
    // In float32 only the order of sums is apart.
    let rollout = exact.rollout(&prompts, &Decoding::sample(8)).unwrap();
    let gap = largest(&(path_log_probs(&mut exact, &prompts, &rollout.paths()) - &rollout.score));
    assert!(gap < 1e-3, "{gap}");
}

#[test]
fn gradients_of_bf16_point_where_those_of_float32_do() {
    let prompts = prompts();
    let (mut rounded, mut exact) = policies();
    let paths = exact.rollout(&prompts, &Decoding::sample(4)).unwrap().paths();
    for policy in [&mut rounded, &mut exact] {
        path_log_probs(policy, &prompts, &paths).mean(Kind::Float).backward();
    }
    for ((name, rounded), (_, exact)) in rounded.parameters().iter().zip(exact.parameters()) {
        let (own, expected) = (rounded.grad(), exact.grad());
        assert_eq!((own.kind(), own.size()), (Kind::Float, expected.size()), "{name}");
        let cosine = (&own * &expected).sum(Kind::Double) / (own.norm() * expected.norm());
        assert!(cosine.double_value(&[]) > 0.98, "{name}: {cosine:?}");
    }
}
