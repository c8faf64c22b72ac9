//! The mask, and what imitation teaches.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_irn::{Irn, IrnParameters};
use prorl_sdk::prelude::*;
use prorl_seqrec::sasrec::SasRecParameters;

const ITEMS: i64 = 12;

fn irn(objective_weight: f64) -> Irn {
    let setup = Setup {
        items: ITEMS,
        history: 2,
        path: 4,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let transformer = SasRecParameters {
        hidden: 16,
        inner: 32,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        initial_deviation: 0.3,
        ..SasRecParameters::default()
    };
    tch::manual_seed(3);
    Irn::create(IrnParameters { transformer, objective_weight, ..IrnParameters::default() }, &setup).unwrap()
}

fn prompts(history: [i64; 2], target: i64) -> Prompts {
    Prompts { history: Tensor::from_slice(&history).view([1, 2]), target: Tensor::from_slice(&[target]) }
}

fn paths(items: [i64; 4]) -> Paths {
    Paths::from_items(Tensor::from_slice(&items).view([1, 1, 4]))
}

/// States from no item on, and impressionabilities. // [1, T + 1, D], [1, T]
fn seen(policy: &mut Irn, prompts: &Prompts, paths: &Paths) -> (Tensor, Tensor) {
    let mut found = policy.inspect(prompts, paths).unwrap();
    let impressionability = found.pop().unwrap().1;
    (found.pop().unwrap().1, impressionability)
}

/// Per position, the largest difference between two states.
fn differences(a: &Tensor, b: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from((a - b).abs().amax([0i64, 2].as_slice(), false).to_kind(Kind::Double)).unwrap()
}

#[test]
fn later_items_change_no_earlier_state_but_the_objective_changes_all() {
    let mut policy = irn(1.0);
    let (states, _) = seen(&mut policy, &prompts([1, 2], 3), &paths([4, 5, 6, 7]));
    let (other, _) = seen(&mut policy, &prompts([1, 2], 3), &paths([4, 5, 8, 9]));
    // No item, two of the history and two of the path come before what differs.
    let found = differences(&states, &other);
    assert!(found[..5].iter().all(|it| *it < 1e-6) && found[5..].iter().all(|it| *it > 1e-3), "{found:?}");
    let (other, _) = seen(&mut policy, &prompts([1, 2], 10), &paths([4, 5, 6, 7]));
    let found = differences(&states, &other);
    assert!(found.iter().all(|it| *it > 1e-3), "{found:?}");
}

#[test]
fn impressionability_follows_from_the_items_and_weighs_the_objective() {
    let mut policy = irn(1.0);
    let (states, first) = seen(&mut policy, &prompts([1, 2], 3), &paths([4, 0, 0, 0]));
    let (_, same) = seen(&mut policy, &prompts([1, 2], 9), &paths([4, 0, 0, 0]));
    let (_, other) = seen(&mut policy, &prompts([5, 2], 3), &paths([4, 0, 0, 0]));
    assert_eq!(first, same);
    assert!((first - other).abs().min().double_value(&[]) > 1e-4);
    let (unheeded, _) = seen(&mut irn(0.0), &prompts([1, 2], 3), &paths([4, 0, 0, 0]));
    let found = differences(&states, &unheeded);
    assert!(found[0] < 1e-6 && found[1..].iter().all(|it| *it > 1e-4), "{found:?}");
}

/// Two prompts of the same history, each with a path to a target of its own.
fn lessons() -> (Prompts, Paths) {
    let history = Tensor::from_slice(&[1i64, 2, 1, 2]).view([2, 2]);
    let items = Tensor::from_slice(&[4i64, 5, 0, 0, 8, 6, 7, 0]).view([2, 1, 4]);
    (Prompts { history, target: Tensor::from_slice(&[3i64, 10]) }, Paths::from_items(items))
}

/// Adam's steps (Kingma and Ba, 2015); losses on the way.
fn learn(policy: &mut Irn, steps: i32) -> Vec<f64> {
    let (prompts, paths) = lessons();
    let weights = policy.parameters();
    let mut moments: Vec<_> =
        weights.iter().map(|(_, it)| (it.detach().zeros_like(), it.detach().zeros_like())).collect();
    let mut losses = Vec::new();
    for step in 1..=steps {
        let loss = policy.imitation_loss(&prompts, &paths).unwrap().total;
        loss.backward();
        losses.push(loss.double_value(&[]));
        let _guard = tch::no_grad_guard();
        for ((name, weight), (mean, square)) in weights.iter().zip(&mut moments) {
            let mut weight = weight.shallow_clone();
            let gradient = weight.grad();
            assert!(gradient.defined(), "{name}");
            *mean = &*mean * 0.9 + &gradient * 0.1;
            *square = &*square * 0.99 + gradient.square() * 0.01;
            let (first, second) = (1.0 - 0.9f64.powi(step), 1.0 - 0.99f64.powi(step));
            let change = (&*mean / first) / ((&*square / second).sqrt() + 1e-8) * 0.01;
            let _ = weight.g_sub_(&change);
            weight.zero_grad();
        }
    }
    losses
}

#[test]
fn imitation_learns_paths_that_end_at_their_objective() {
    let mut policy = irn(1.0);
    policy.set_training(true);
    let losses = learn(&mut policy, 200);
    assert!(losses[199] < 0.2 * losses[0], "{} to {}", losses[0], losses[199]);
    policy.set_training(false);
    let (prompts, paths) = lessons();
    let found = policy.rollout(&prompts, &Decoding::beam(4)).unwrap();
    assert_eq!(found.items.narrow(1, 0, 1), paths.items);
    assert!(found.stopped.select(1, 0).all().int64_value(&[]) == 1);
    let ordered = found.score.diff(1, -1, None::<&Tensor>, None::<&Tensor>).le(0.0);
    assert!(ordered.all().int64_value(&[]) == 1, "{:?}", found.score);
    let drawn = policy.rollout(&prompts, &Decoding::sample(64)).unwrap();
    let same = drawn.items.eq_tensor(&paths.items).all_dim(-1, false).to_kind(Kind::Float); // [B, G]
    assert!(same.mean(Kind::Float).double_value(&[]) > 0.5);
}

#[test]
fn beams_are_distinct_and_admissible() {
    let mut policy = irn(1.0);
    for beam in [true, false] {
        let found = policy.rollout(&prompts([1, 0], 3), &Decoding { beam, ..Decoding::sample(9) }).unwrap();
        let items = Vec::<i64>::try_from(found.items.flatten(0, -1)).unwrap();
        assert!(items.iter().all(|item| ![1, 3].contains(item)), "{items:?}");
        assert_eq!(found.paths().repeated().any().int64_value(&[]), 0);
        assert_eq!(found.paths().invalid().any().int64_value(&[]), 0);
        let paths: Vec<&[i64]> = items.chunks(4).collect();
        assert!(!beam || (1..9).all(|at| !paths[..at].contains(&paths[at])), "{paths:?}");
    }
    // Without any history there is the objective alone to go by.
    assert!(policy.rollout(&prompts([0, 0], 3), &Decoding::beam(2)).is_ok());
}

#[test]
fn the_transformer_must_have_room_for_history_and_path() {
    let error = prorl_sdk::parameters::parse::<IrnParameters>(r#"{"objective_weight": -1}"#).unwrap_err();
    assert!(error.to_string().contains("objective_weight"), "{error}");
    let transformer = SasRecParameters { max_length: 5, ..SasRecParameters::default() };
    let setup = Setup {
        items: ITEMS,
        history: 2,
        path: 4,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let error = Irn::create(IrnParameters { transformer, ..IrnParameters::default() }, &setup).err().unwrap();
    assert!(error.to_string().contains("max_length"), "{error}");
}
