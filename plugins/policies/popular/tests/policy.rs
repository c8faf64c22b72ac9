//! The most popular first, and samples by popularity.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_popular::{PopularParameters, PopularPolicy};
use prorl_sdk::prelude::*;

fn policy(popularity: Option<&[i64]>) -> Result<PopularPolicy> {
    let setup = Setup {
        items: 7,
        history: 2,
        path: 3,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: popularity.map(Tensor::from_slice),
    };
    PopularPolicy::create(PopularParameters::default(), &setup)
}

/// Items 3, 5, 1, 7, 2, 6 from the most popular on; 4 was never seen.
const COUNTS: [i64; 8] = [0, 50, 20, 90, 0, 60, 10, 40];

fn prompt() -> Prompts {
    Prompts { history: Tensor::from_slice(&[3i64, 0]).view([1, 2]), target: Tensor::from_slice(&[1i64]) }
}

fn rows(items: &Tensor) -> Vec<Vec<i64>> {
    Vec::<i64>::try_from(items.flatten(0, -1)).unwrap().chunks(3).map(<[i64]>::to_vec).collect()
}

#[test]
fn beams_open_with_the_most_popular() {
    let found = policy(Some(&COUNTS)).unwrap().rollout(&prompt(), &Decoding::beam(4)).unwrap();
    assert_eq!(rows(&found.items), [[5, 7, 2], [7, 5, 2], [2, 5, 7], [6, 5, 7]]);
    assert!(found.score.diff(1, -1, None::<&Tensor>, None::<&Tensor>).le(0.0).all().int64_value(&[]) == 1);
}

#[test]
fn samples_are_as_frequent_as_they_are_popular() {
    tch::manual_seed(1);
    let draws = 20_000;
    let found = policy(Some(&COUNTS)).unwrap().rollout(&prompt(), &Decoding::sample(draws)).unwrap();
    let first = Vec::<i64>::try_from(found.items.select(2, 0).flatten(0, -1)).unwrap();
    for item in [2, 5, 6, 7] {
        let chance = COUNTS[item as usize] as f64 / 130.0;
        let share = first.iter().filter(|&&it| it == item).count() as f64 / draws as f64;
        assert!((share - chance).abs() < 5.0 * (chance / draws as f64).sqrt(), "{item}: {share} and {chance}");
    }
    assert_eq!(found.paths().repeated().any().int64_value(&[]), 0);
}

#[test]
fn without_counts_it_says_what_is_missing() {
    let error = policy(None).err().unwrap().to_string();
    assert!(error.contains("popularity"), "{error}");
}
