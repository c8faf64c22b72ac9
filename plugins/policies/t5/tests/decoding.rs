//! What holds for every catalogue: constrained decoding, and one distribution for drawing and learning.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use prorl_plugin_t5::{T5Parameters, T5Policy};
use prorl_sdk::prelude::*;

fn small(constrained: bool) -> T5Parameters {
    T5Parameters {
        layers: 2,
        d_model: 16,
        d_kv: 8,
        d_ff: 24,
        heads: 2,
        dropout: 0.2,
        initializer_factor: 1.5,
        constrained,
        ..T5Parameters::default()
    }
}

/// A policy over `codes`, one list of digits an item.
fn policy(codes: &[Vec<i64>], codebook_size: i64, path: i64, constrained: bool) -> T5Policy {
    create(codes, codebook_size, path, small(constrained))
}

fn create(codes: &[Vec<i64>], codebook_size: i64, path: i64, parameters: T5Parameters) -> T5Policy {
    let digits = codes[0].len() as i64;
    let flat: Vec<i64> = vec![0; digits as usize].into_iter().chain(codes.concat()).collect();
    let setup = Setup {
        items: codes.len() as i64,
        history: 3,
        path,
        codes: Some(Tensor::from_slice(&flat).view([-1, digits])),
        codebook_size,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    tch::manual_seed(5);
    let mut policy = T5Policy::create(parameters, &setup).unwrap();
    policy.set_training(false);
    policy
}

fn prompts(items: i64, count: i64) -> Prompts {
    let history = Tensor::randint_low(1, items + 1, [count, 3], (Kind::Int64, Device::Cpu));
    // The second prompt has a shorter history.
    if count > 1 {
        let _ = history.get(1).narrow(0, 2, 1).zero_();
    }
    Prompts { history, target: Tensor::randint_low(1, items + 1, [count], (Kind::Int64, Device::Cpu)) }
}

fn catalogue() -> Vec<Vec<i64>> {
    (0..7).map(|item| vec![item / 3, item % 3, (item * item) % 4]).collect()
}

fn sum(digits: &Tensor) -> Tensor {
    digits.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Float)
}

fn worst(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

fn codes_strategy() -> impl Strategy<Value = (Vec<Vec<i64>>, i64)> {
    (1usize..4, 2i64..6).prop_flat_map(|(digits, size)| {
        let code = prop::collection::vec(0..size, digits);
        (prop::collection::btree_set(code, 1..12).prop_map(|set| set.into_iter().collect()), Just(size))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn constrained_decoding_gives_items_and_no_empty_path(
        (codes, size) in codes_strategy(), path in 1i64..4, group in 1i64..5, count in 1i64..4, beam in any::<bool>()
    ) {
        let mut policy = policy(&codes, size, path, true);
        let prompts = prompts(codes.len() as i64, count);
        let decoding = Decoding { beam, ..Decoding::sample(group) };
        let rollout = policy.rollout(&prompts, &decoding).unwrap();
        let paths = rollout.paths();
        prop_assert_eq!(paths.invalid().any().int64_value(&[]), 0);
        prop_assert!(paths.length.min().int64_value(&[]) >= 1);
        prop_assert!(rollout.score.isfinite().all().int64_value(&[]) == 1);
        let full = paths.length.eq(path);
        prop_assert!(paths.stopped.eq_tensor(&full.logical_not()).all().int64_value(&[]) == 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of most paths the next digit is known here, of a few it is not: they read ahead of the others.
    #[test]
    fn scores_are_what_log_probs_says_where_few_paths_have_a_choice(
        codes in prop::collection::btree_set(prop::collection::vec(0i64..4, 4), 8..14), beam in any::<bool>(), count in 1i64..4
    ) {
        let codes: Vec<Vec<i64>> = codes.into_iter().collect();
        let mut policy = policy(&codes, 4, 3, true);
        let prompts = prompts(codes.len() as i64, count);
        let decoding = Decoding { beam, length_penalty: 0.0, ..Decoding::sample(12) };
        let rollout = policy.rollout(&prompts, &decoding).unwrap();
        let again = policy.log_probs(&prompts, &rollout.paths(), &Query::plain()).unwrap();
        prop_assert!(worst(&sum(&again.digits), &rollout.score) < 1e-4);
    }
}

#[test]
fn the_drawn_score_is_what_log_probs_says() {
    for constrained in [true, false] {
        let mut policy = policy(&catalogue(), 4, 3, constrained);
        let prompts = prompts(7, 4);
        let rollout = policy.rollout(&prompts, &Decoding::sample(16)).unwrap();
        let again = policy.log_probs(&prompts, &rollout.paths(), &Query::plain()).unwrap();
        assert!(worst(&sum(&again.digits), &rollout.score) < 1e-4, "constrained = {constrained}");
    }
}

#[test]
fn paths_of_nothing_have_log_probability_0() {
    let mut policy = policy(&catalogue(), 4, 2, true);
    let mut paths = Paths::from_items(Tensor::zeros([3, 2, 2], (Kind::Int64, Device::Cpu)));
    let _ = paths.stopped.zero_();
    let digits = policy.log_probs(&prompts(7, 3), &paths, &Query::plain()).unwrap().digits;
    assert_eq!((digits.size(), worst(&digits, &digits.zeros_like())), (vec![3, 2, 3, 3], 0.0));
}

#[test]
fn probabilities_of_all_paths_add_up_to_one() {
    let codes = catalogue();
    let mut policy = policy(&codes, 4, 2, true);
    let mut paths: Vec<i64> = (1..=7).flat_map(|item| [item, 0]).collect();
    paths.extend((1..=7).flat_map(|first| (1..=7).flat_map(move |second| [first, second])));
    let prompts = prompts(7, 3);
    let all = Tensor::from_slice(&paths).view([1, -1, 2]).repeat([3, 1, 1]);
    let log_probs = policy.log_probs(&prompts, &Paths::from_items(all), &Query::plain()).unwrap();
    let total = sum(&log_probs.digits).exp().sum_dim_intlist(-1, false, Kind::Float);
    assert!(worst(&total, &total.ones_like()) < 1e-5, "{total:?}");
}

/// Imitation learns the very distribution that is sampled.
#[test]
fn the_imitation_loss_is_what_log_probs_says() {
    for constrained in [true, false] {
        let mut policy = policy(&catalogue(), 4, 3, constrained);
        let prompts = prompts(7, 3);
        let paths = Paths::from_items(Tensor::from_slice(&[1i64, 2, 0, 3, 0, 0, 4, 5, 6]).view([3, 1, 3]));
        let loss = policy.imitation_loss(&prompts, &paths).unwrap().total.double_value(&[]);
        let digits = policy.log_probs(&prompts, &paths, &Query::plain()).unwrap().digits;
        let tokens = 3.0 * 6.0 + 2.0; // three digits an item, and the ends of the two paths that stopped
        let expected = -digits.sum(Kind::Float).double_value(&[]) / tokens;
        assert!((loss - expected).abs() < 1e-5, "constrained = {constrained}: {loss} and {expected}");
    }
}

#[test]
fn beam_search_over_everything_finds_the_best_path() {
    let codes = catalogue();
    let mut policy = policy(&codes, 4, 2, true);
    let prompts = prompts(7, 3);
    let decoding = Decoding { length_penalty: 0.0, early_stopping: false, ..Decoding::beam(56) };
    let rollout = policy.rollout(&prompts, &decoding).unwrap();
    let again = policy.log_probs(&prompts, &rollout.paths(), &Query::plain()).unwrap();
    assert!(worst(&sum(&again.digits), &rollout.score) < 1e-4);
    let total = rollout.score.exp().sum_dim_intlist(-1, false, Kind::Float);
    assert!(worst(&total, &total.ones_like()) < 1e-4, "56 beams are all paths there are: {total:?}");
}

#[test]
fn longer_neighbours_change_nothing() {
    let mut policy = policy(&catalogue(), 4, 3, true);
    let prompts = prompts(7, 3);
    let paths = policy.rollout(&prompts, &Decoding::sample(4)).unwrap().paths();
    let together = policy.log_probs(&prompts, &paths, &Query::plain()).unwrap().digits;
    for prompt in 0..3 {
        let alone = policy.log_probs(&prompts.narrow(prompt, 1), &paths.narrow(prompt, 1), &Query::plain()).unwrap();
        assert!(worst(&alone.digits, &together.narrow(0, prompt, 1)) < 1e-5);
    }
}

#[test]
fn distributions_and_entropies_belong_to_the_digits() {
    let mut policy = policy(&catalogue(), 4, 3, true);
    let prompts = prompts(7, 3);
    let paths = policy.rollout(&prompts, &Decoding::sample(5)).unwrap().paths();
    let query = Query { entropy: true, distribution: true, hidden: true };
    let found = policy.log_probs(&prompts, &paths, &query).unwrap();
    let plain = policy.log_probs(&prompts, &paths, &Query::plain()).unwrap();
    assert!(worst(&found.digits, &plain.digits) < 1e-6);
    let distribution = found.distribution.unwrap();
    assert_eq!(distribution.size(), [3, 5, 4, 3, 5]);
    let mass = distribution.exp().sum_dim_intlist(-1, false, Kind::Float); // 1 where a choice was made
    let acts = paths.acts().to_kind(Kind::Float);
    assert!(worst(&mass.select(3, 0), &acts) < 1e-5);
    let finite = distribution.masked_fill(&distribution.isinf(), 0.0);
    let entropy = -(distribution.exp() * finite).sum_dim_intlist(-1, false, Kind::Float);
    assert!(worst(&entropy, &found.entropy.unwrap()) < 1e-5);
    assert_eq!(found.hidden.unwrap().size(), [3, 5, 4, 16]);
}

#[test]
fn unconstrained_distributions_are_over_all_tokens() {
    let mut policy = policy(&catalogue(), 4, 3, false);
    let prompts = prompts(7, 2);
    let paths = policy.rollout(&prompts, &Decoding::sample(3)).unwrap().paths();
    let query = Query { distribution: true, ..Query::plain() };
    let found = policy.log_probs(&prompts, &paths, &query).unwrap().distribution.unwrap();
    assert_eq!(found.size(), [2, 3, 4, 3, 15]);
    let first = found.select(2, 0).select(2, 0).exp().sum_dim_intlist(-1, false, Kind::Float);
    assert!(worst(&first, &first.ones_like()) < 1e-5);
}

#[test]
fn forced_paths_have_their_length() {
    let mut policy = policy(&catalogue(), 4, 3, true);
    let prompts = prompts(7, 3);
    for (beam, forced) in [(false, 2), (true, 2), (false, 3), (true, 3)] {
        let decoding = Decoding { beam, forced_length: forced, ..Decoding::sample(4) };
        let paths = policy.rollout(&prompts, &decoding).unwrap().paths();
        assert!(paths.length.eq(forced).all().int64_value(&[]) == 1, "{beam} {forced}: {:?}", paths.length);
    }
}

#[test]
fn gradient_reaches_every_parameter() {
    for constrained in [true, false] {
        let mut policy = policy(&catalogue(), 4, 3, constrained);
        policy.set_training(true);
        let prompts = prompts(7, 3);
        let paths = Paths::from_items(Tensor::from_slice(&[1i64, 2, 0, 3, 0, 0, 4, 5, 6]).view([3, 1, 3]));
        let learnt = policy.log_probs(&prompts, &paths, &Query::plain()).unwrap().digits.sum(Kind::Float);
        let loss = policy.imitation_loss(&prompts, &paths).unwrap().total - learnt;
        loss.backward();
        for (name, parameter) in policy.parameters() {
            let gradient = parameter.grad();
            assert!(gradient.defined() && gradient.abs().sum(Kind::Float).double_value(&[]) > 0.0, "{name}");
        }
    }
}

#[test]
fn top_k_of_one_is_greedy_and_top_p_keeps_the_likeliest() {
    let mut policy = policy(&catalogue(), 4, 3, true);
    let prompts = prompts(7, 3);
    let greedy = policy.rollout(&prompts, &Decoding::beam(1)).unwrap().items;
    for decoding in [Decoding { top_k: 1, ..Decoding::sample(2) }, Decoding { top_p: 1e-6, ..Decoding::sample(2) }] {
        let drawn = policy.rollout(&prompts, &decoding).unwrap().items;
        assert_eq!(worst(&drawn, &greedy.expand_as(&drawn)), 0.0);
    }
}

#[test]
fn a_target_embedding_of_zero_changes_nothing_and_another_does() {
    let codes = catalogue();
    let mut plain = policy(&codes, 4, 3, true);
    let mut marked = create(&codes, 4, 3, T5Parameters { target_embedding: true, ..small(true) });
    let own: std::collections::HashMap<_, _> = plain.parameters().into_iter().collect();
    let mut embedding = None;
    tch::no_grad(|| {
        for (name, mut tensor) in marked.parameters() {
            match own.get(&name) {
                Some(value) => tensor.copy_(value),
                None => embedding = Some(tensor.zero_()),
            }
        }
    });
    let prompts = prompts(7, 4);
    let paths = plain.rollout(&prompts, &Decoding::sample(2)).unwrap().paths();
    let log_probs = |policy: &mut T5Policy| sum(&policy.log_probs(&prompts, &paths, &Query::plain()).unwrap().digits);
    let without = log_probs(&mut plain);
    assert!(worst(&without, &log_probs(&mut marked)) < 1e-6);
    let _ = tch::no_grad(|| embedding.expect("the marked policy has one weight more").fill_(1.0));
    assert!(worst(&without, &log_probs(&mut marked)) > 1e-3);
}
