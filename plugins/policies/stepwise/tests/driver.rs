//! The driver against policies whose scores are known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_sdk::prelude::*;
use prorl_stepwise::{Beams, Choices, NextItem, Prefixes, Stepwise};
use prorl_testkit::closeness::{VALUES, assert_close};

const ITEMS: i64 = 12;
const PATH: i64 = 3;

/// The same scores after every prefix, and the same score of stopping.
struct Known {
    scores: Vec<f32>, // of items 1..=V
    stop: f64,
}

impl Known {
    /// Item `v` scores `-v / 2`.
    fn falling(stop: f64) -> Self {
        Self { scores: (1..=ITEMS).map(|item| -0.5 * item as f32).collect(), stop }
    }
}

impl NextItem for Known {
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices> {
        let rows = prefixes.target.size()[0];
        let scores = Tensor::cat(&[Tensor::from_slice(&[f32::NAN]), Tensor::from_slice(&self.scores)], 0);
        let scores = scores.unsqueeze(0).repeat([rows, 1]);
        let stop = Tensor::full([rows], self.stop, (Kind::Float, Device::Cpu));
        Ok(Choices { scores, stop })
    }
}

fn stepwise(longest: i64, beams: Beams) -> Stepwise {
    let setup = Setup {
        items: ITEMS,
        history: 2,
        path: PATH,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    Stepwise::new(&setup, longest, beams).unwrap()
}

/// The second history is shorter.
fn prompts() -> Prompts {
    Prompts { history: Tensor::from_slice(&[1i64, 9, 3, 0]).view([2, 2]), target: Tensor::from_slice(&[2i64, 1]) }
}

fn rows(items: &Tensor) -> Vec<Vec<i64>> {
    let width = items.size()[2];
    Vec::<i64>::try_from(items.flatten(0, -1)).unwrap().chunks(width as usize).map(<[i64]>::to_vec).collect()
}

#[test]
fn paths_are_admissible_however_they_are_decoded() {
    tch::manual_seed(3);
    for (beams, beam, stop) in
        [(Beams::Joint, true, -3.0), (Beams::Apart, true, -3.0), (Beams::Apart, false, -3.0), (Beams::Joint, true, 9.0)]
    {
        let decoding = Decoding { beam, ..Decoding::sample(8) };
        let found = stepwise(0, beams).rollout(&mut Known::falling(stop), &prompts(), &decoding).unwrap();
        assert_eq!(found.items.size(), [2, 8, PATH]);
        assert_eq!(found.score.size(), [2, 8]);
        assert!(found.score.isfinite().all().int64_value(&[]) == 1);
        for (place, path) in rows(&found.items).into_iter().enumerate() {
            let length = found.length.flatten(0, 1).int64_value(&[place as i64]) as usize;
            assert!(length >= 1 && path[..length].iter().all(|&item| item > 0), "{path:?}");
            assert!(path[length..].iter().all(|&item| item == 0), "{path:?}");
            let banned: &[i64] = if place < 8 { &[1, 9, 2] } else { &[3, 1] };
            assert!(path.iter().all(|item| !banned.contains(item)), "{path:?}");
            assert!((1..length).all(|at| !path[..at].contains(&path[at])), "{path:?}");
        }
        assert_eq!(found.stopped, found.length.lt(PATH));
        if beam {
            for prompt in rows(&found.items).chunks(8) {
                assert!((1..8).all(|at| !prompt[..at].contains(&prompt[at])), "{prompt:?}");
            }
        }
    }
}

#[test]
fn beams_apart_open_with_the_best_items_and_go_on_greedily() {
    let found = stepwise(2, Beams::Apart)
        .rollout(&mut Known::falling(f64::NEG_INFINITY), &prompts().narrow(0, 1), &Decoding::beam(3))
        .unwrap();
    assert_eq!(rows(&found.items), [[3, 4, 0], [4, 3, 0], [5, 3, 0]]);
    let logits = Tensor::from_slice(&[-1.5f32, -2.0, -2.5, -3.0, -3.5, -4.0, -5.0, -5.5, -6.0]);
    let expected = logits.log_softmax(-1, Kind::Float).narrow(0, 0, 3).unsqueeze(0);
    assert_close("score", &found.score, &expected, VALUES);
}

/// Every path of at most two items, its probability worked out by hand.
fn all_paths(stop: f64) -> Vec<(Vec<i64>, f64)> {
    let open: Vec<i64> = (1..=ITEMS).filter(|item| ![1, 9, 2].contains(item)).collect();
    let weight = |item: i64| (-0.5 * item as f64).exp();
    let total: f64 = open.iter().map(|&item| weight(item)).sum();
    let mut paths = Vec::new();
    for &first in &open {
        let (opening, rest) = (weight(first) / total, total - weight(first) + stop.exp());
        paths.push((vec![first, 0, 0], opening * stop.exp() / rest));
        for &second in open.iter().filter(|&&item| item != first) {
            paths.push((vec![first, second, 0], opening * weight(second) / rest));
        }
    }
    paths
}

#[test]
fn joint_beams_are_the_likeliest_paths() {
    let mut expected = all_paths(-3.0);
    assert!((expected.iter().map(|(_, chance)| chance).sum::<f64>() - 1.0).abs() < 1e-9);
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let decoding = Decoding { length_penalty: 0.0, ..Decoding::beam(9) };
    let found = stepwise(2, Beams::Joint).rollout(&mut Known::falling(-3.0), &prompts().narrow(0, 1), &decoding);
    let found = found.unwrap();
    for (place, path) in rows(&found.items).into_iter().enumerate() {
        let (_, chance) = expected.iter().find(|(known, _)| *known == path).unwrap();
        let score = found.score.double_value(&[0, place as i64]);
        assert!((score - chance.ln()).abs() < 1e-5, "{path:?}: {score} and {}", chance.ln());
        assert!((chance - expected[place].1).abs() < 1e-9, "{path:?} is not number {place}");
    }
}

#[test]
fn samples_come_as_often_as_they_are_likely() {
    tch::manual_seed(4);
    let draws = 20_000;
    let mut policy = Known::falling(-3.0);
    let found = stepwise(2, Beams::Joint).rollout(&mut policy, &prompts().narrow(0, 1), &Decoding::sample(draws));
    let found = found.unwrap();
    let drawn = rows(&found.items);
    for (path, chance) in all_paths(-3.0).into_iter().filter(|(_, chance)| *chance > 0.01) {
        let share = drawn.iter().filter(|it| **it == path).count() as f64 / draws as f64;
        assert!((share - chance).abs() < 5.0 * (chance / draws as f64).sqrt(), "{path:?}: {share} and {chance}");
        let place = drawn.iter().position(|it| *it == path).unwrap() as i64;
        assert!((found.score.double_value(&[0, place]) - chance.ln()).abs() < 1e-5);
    }
}

#[test]
fn low_temperature_and_top_k_of_one_are_greedy() {
    let mut policy = Known::falling(f64::NEG_INFINITY);
    for decoding in [
        Decoding { temperature: 1e-3, ..Decoding::sample(4) },
        Decoding { top_k: 1, ..Decoding::sample(4) },
        Decoding { top_p: 0.0, ..Decoding::sample(4) },
    ] {
        let found = stepwise(0, Beams::Joint).rollout(&mut policy, &prompts().narrow(0, 1), &decoding).unwrap();
        assert_eq!(rows(&found.items), vec![[3, 4, 5]; 4]);
    }
}

#[test]
fn forced_paths_have_their_length_whatever_the_policy_wants() {
    for beams in [Beams::Joint, Beams::Apart] {
        for (beam, stop, forced) in [(true, f64::INFINITY, 2), (false, f64::INFINITY, 3), (true, f64::NEG_INFINITY, 1)]
        {
            let decoding = Decoding { beam, forced_length: forced, ..Decoding::sample(4) };
            let found = stepwise(1, beams).rollout(&mut Known::falling(stop), &prompts(), &decoding).unwrap();
            assert!(found.length.eq(forced).all().int64_value(&[]) == 1, "{:?}", found.length);
        }
    }
}

#[test]
fn a_policy_that_must_stop_stops_after_one_item() {
    for (beams, beam) in [(Beams::Joint, true), (Beams::Apart, true), (Beams::Apart, false)] {
        let decoding = Decoding { beam, ..Decoding::sample(4) };
        let found = stepwise(0, beams).rollout(&mut Known::falling(f64::INFINITY), &prompts(), &decoding).unwrap();
        assert!(found.length.eq(1).all().int64_value(&[]) == 1, "{:?}", found.length);
        assert!(found.stopped.all().int64_value(&[]) == 1);
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    let refused = |decoding: &Decoding, wanted: &str| {
        let error = stepwise(0, Beams::Apart).rollout(&mut Known::falling(0.0), &prompts(), decoding).err().unwrap();
        assert!(error.to_string().contains(wanted), "{error}");
    };
    refused(&Decoding::beam(10), "leave 9 to recommend");
    refused(&Decoding { temperature: 0.0, ..Decoding::sample(1) }, "temperature");
    refused(&Decoding { forced_length: 4, ..Decoding::sample(1) }, "forced_length");
}
