//! The path of the closed form, worked out step by step.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_ipg::{Ipg, IpgParameters};
use prorl_sdk::prelude::*;
use prorl_seqrec::{Either, ModelName, SequenceEncoder};

const ITEMS: i64 = 12;

fn setup() -> Setup {
    Setup {
        items: ITEMS,
        history: 2,
        path: 4,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    }
}

fn parameters(model: ModelName) -> IpgParameters {
    IpgParameters { model, ..IpgParameters::default() }
}

/// Weights large enough that scores differ.
fn shaken(weights: &[(String, Tensor)]) {
    let _guard = tch::no_grad_guard();
    for (_, weight) in weights {
        let noise = weight.randn_like() * 0.5;
        let _ = weight.shallow_clone().g_add_(&noise);
    }
}

fn prompt() -> Prompts {
    Prompts { history: Tensor::from_slice(&[1i64, 2]).view([1, 2]), target: Tensor::from_slice(&[3i64]) }
}

fn numbers(values: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(values.flatten(0, -1)).unwrap()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Item by item with plain numbers: the state is read anew after each.
fn by_hand(encoder: &Either, gamma: f32) -> Vec<i64> {
    let _guard = tch::no_grad_guard();
    let embedding = |item: i64| numbers(&encoder.item_embedding().get(item));
    let mut seen = vec![1i64, 2];
    for _ in 0..4 {
        let state = encoder.states(&Tensor::from_slice(&seen).unsqueeze(0), false);
        let user = numbers(&state.select(1, seen.len() as i64 - 1));
        let score = |item: i64| {
            let own = embedding(item);
            let moved: Vec<f32> = user.iter().zip(&own).map(|(u, e)| gamma * u + (1.0 - gamma) * e).collect();
            let probability = 1.0 / (1.0 + (-dot(&user, &own)).exp());
            probability * (dot(&embedding(3), &moved) - dot(&embedding(3), &user))
        };
        let open = (1..=ITEMS).filter(|item| *item != 3 && !seen.contains(item));
        seen.push(open.max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap());
    }
    seen.split_off(2)
}

#[test]
fn the_first_beam_is_the_closed_form_step_by_step() {
    for (seed, model) in [(1, ModelName::Sasrec), (2, ModelName::Gru4rec), (3, ModelName::Sasrec)] {
        tch::manual_seed(seed);
        let mut policy = Ipg::create(parameters(model), &setup()).unwrap();
        shaken(&policy.parameters());
        let encoder = Either::create(parameters(model).of_model(), &setup()).unwrap();
        let _guard = tch::no_grad_guard();
        for ((_, target), (_, source)) in encoder.parameters().iter().zip(policy.parameters()) {
            target.shallow_clone().copy_(&source);
        }
        let found = policy.rollout(&prompt(), &Decoding::beam(3)).unwrap();
        let first = Vec::<i64>::try_from(found.items.select(1, 0).flatten(0, -1)).unwrap();
        assert_eq!(first, by_hand(&encoder, 0.8), "{model:?}");
        assert!(found.length.eq(4).all().int64_value(&[]) == 1);
    }
}

#[test]
fn beams_are_distinct_and_samples_admissible() {
    tch::manual_seed(5);
    let mut policy = Ipg::create(parameters(ModelName::Sasrec), &setup()).unwrap();
    shaken(&policy.parameters());
    for beam in [true, false] {
        let found = policy.rollout(&prompt(), &Decoding { beam, ..Decoding::sample(8) }).unwrap();
        let items = Vec::<i64>::try_from(found.items.flatten(0, -1)).unwrap();
        assert!(items.iter().all(|item| (4..=ITEMS).contains(item)), "{items:?}");
        assert_eq!(found.paths().repeated().any().int64_value(&[]), 0);
        let paths: Vec<&[i64]> = items.chunks(4).collect();
        assert!(!beam || (1..8).all(|at| !paths[..at].contains(&paths[at])), "{paths:?}");
    }
}

#[test]
fn imitation_loss_reaches_the_model() {
    let mut policy = Ipg::create(parameters(ModelName::Gru4rec), &setup()).unwrap();
    let paths = Paths::from_items(Tensor::from_slice(&[5i64, 6, 0, 0]).view([1, 1, 4]));
    policy.imitation_loss(&prompt(), &paths).unwrap().total.backward();
    assert!(policy.parameters().iter().all(|(_, weight)| weight.grad().defined()));
    assert!(policy.log_probs(&prompt(), &paths, &Query::plain()).is_err());
}
