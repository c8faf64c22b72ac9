//! Uniform over what is admissible, in items and in lengths.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_random::{RandomParameters, RandomPolicy};
use prorl_sdk::prelude::*;

const ITEMS: i64 = 9;

fn policy(length: i64) -> RandomPolicy {
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
    RandomPolicy::create(RandomParameters { length }, &setup).unwrap()
}

fn prompt() -> Prompts {
    Prompts { history: Tensor::from_slice(&[1i64, 2]).view([1, 2]), target: Tensor::from_slice(&[3i64]) }
}

fn numbers(tensor: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(tensor.flatten(0, -1)).unwrap()
}

/// Shares of `values` in numbers, each expected to be `1 / of`.
fn assert_uniform(values: &[i64], of: &[i64]) {
    for value in of {
        let share = values.iter().filter(|it| *it == value).count() as f64 / values.len() as f64;
        let chance = 1.0 / of.len() as f64;
        assert!((share - chance).abs() < 5.0 * (chance / values.len() as f64).sqrt(), "{value}: {share}");
    }
    assert!(values.iter().all(|value| of.contains(value)));
}

#[test]
fn items_and_lengths_are_uniform() {
    tch::manual_seed(1);
    let drawn = policy(0).rollout(&prompt(), &Decoding::sample(20_000)).unwrap();
    assert_uniform(&numbers(&drawn.items.select(2, 0)), &[4, 5, 6, 7, 8, 9]);
    assert_uniform(&numbers(&drawn.length), &[1, 2, 3, 4]);
    assert_eq!(drawn.paths().repeated().any().int64_value(&[]), 0);
    let thirds: Vec<i64> = numbers(&drawn.items.select(2, 2)).into_iter().filter(|&item| item > 0).collect();
    assert_uniform(&thirds, &[4, 5, 6, 7, 8, 9]);
}

#[test]
fn beams_are_random_and_distinct() {
    tch::manual_seed(2);
    let mut policy = policy(3);
    let mut firsts = Vec::new();
    for _ in 0..2000 {
        let found = policy.rollout(&prompt(), &Decoding::beam(5)).unwrap();
        assert!(found.length.eq(3).all().int64_value(&[]) == 1);
        let mut opening = numbers(&found.items.select(2, 0));
        firsts.push(opening[0]);
        opening.sort_unstable();
        opening.dedup();
        assert_eq!(opening.len(), 5);
    }
    assert_uniform(&firsts, &[4, 5, 6, 7, 8, 9]);
}

#[test]
fn nothing_is_to_be_learnt() {
    let mut policy = policy(0);
    assert!(policy.parameters().is_empty());
    let paths = Paths::from_items(Tensor::from_slice(&[4i64, 0, 0, 0]).view([1, 1, 4]));
    assert!(policy.log_probs(&prompt(), &paths, &Query::plain()).is_err());
    assert!(policy.imitation_loss(&prompt(), &paths).is_err());
}
