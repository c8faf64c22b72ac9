//! Every estimator, from its shared library, on a policy small enough to enumerate: what its gradient is in the mean,
//! how much it varies, and the losses of those that clip or hold a value head against closed forms.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_host::plugins::{ForeignAlgorithm, Registry};
use prorl_sdk::algorithm::Alone;
use prorl_sdk::prelude::*;

/// Rewards as they are, IoI alone, no leash.
const RAW: &str = r#""rewards": {"weights": {"ctr": 0, "ior": 0}, "scaling": false, "centering": false}"#;

/// All paths of items 1 and 2 with P = 2, as items of the two positions; 0 is the stop.
const PATHS: [[i64; 2]; 6] = [[1, 0], [2, 0], [1, 1], [1, 2], [2, 1], [2, 2]];
/// Made-up IoI of each path's steps; all are far from 0, as rewards are that nobody centres.
const IOI: [[f64; 2]; 6] = [[4.0, 0.0], [3.0, 0.0], [4.0, 5.0], [4.0, 4.5], [3.0, 5.5], [3.0, 4.7]];
/// Logits of the two positions over stop and both items.
const LOGITS: [f64; 6] = [0.0, 0.3, -0.4, 0.2, -0.6, 0.5];

fn setup(hidden: i64) -> Setup {
    Setup {
        items: 2,
        history: 1,
        path: 2,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden,
        popularity: None,
    }
}

fn create(name: &str, json: &str) -> ForeignAlgorithm {
    let parameters = serde_json::from_str(&format!("{{{json}}}")).unwrap();
    Registry::open(&[]).unwrap().algorithm(name, &parameters, &setup(1)).unwrap()
}

fn now() -> Progress {
    Progress { epoch: 0, step: 0, steps: 1 }
}

fn leaf() -> Tensor {
    Tensor::from_slice(&LOGITS).view([2, 3]).set_requires_grad(true)
}

/// Log-probability of both actions of the `index`th path; a stop only in second place. // [2]
fn choose(logits: &Tensor, index: usize) -> Tensor {
    let first = logits.get(0).narrow(0, 1, 2).log_softmax(-1, Kind::Double).get(PATHS[index][0] - 1);
    let second = logits.get(1).log_softmax(-1, Kind::Double).get(PATHS[index][1]);
    Tensor::stack(&[first, second], 0)
}

fn group(members: &[usize]) -> ScoredPaths {
    let count = members.len() as i64;
    let items: Vec<i64> = members.iter().flat_map(|&index| PATHS[index]).collect();
    let ioi: Vec<f64> = members.iter().flat_map(|&index| IOI[index]).collect();
    let Paths { items, length, stopped, .. } = Paths::from_items(Tensor::from_slice(&items).view([1, count, 2]));
    let ioi = Tensor::from_slice(&ioi).view([1, count, 2]);
    let hidden = Some(Tensor::ones([1, count, 3, 1], (Kind::Float, Device::Cpu)));
    ScoredPaths { items, length, stopped, ior: ioi.zeros_like(), ctr: ioi.zeros_like(), ioi, hidden }
}

fn plain(digits: Tensor) -> ActionLogProbs {
    ActionLogProbs { digits, entropy: None, distribution: None, hidden: None }
}

fn batch(scored: ScoredPaths, advantages: Advantages) -> Batch {
    let ScoredPaths { items, length, stopped, .. } = scored;
    Batch { items, length, stopped, advantages: advantages.values, extra: advantages.extra }
}

/// Gradient of the loss with respect to the logits for a group of two paths. // [2, 3]
fn gradient(algorithm: &mut ForeignAlgorithm, members: [usize; 2]) -> Tensor {
    let logits = leaf();
    let scored = group(&members);
    let advantages = algorithm.prepare(&scored, &now(), Alone).unwrap();
    let digits = Tensor::stack(&members.map(|index| choose(&logits, index)), 0); // [2, 2]
    let hidden = scored.hidden.as_ref().map(Tensor::shallow_clone);
    let current = ActionLogProbs { hidden, ..plain(digits.constant_pad_nd([0, 1]).view([1, 2, 3, 1])) };
    let log_probs = LogProbs { current, reference: None, behaviour: None };
    algorithm.loss(&log_probs, &batch(scored, advantages), &now()).unwrap().total.backward();
    logits.grad()
}

/// Mean and total variance of an estimator's gradient over all pairs of paths, each with its probability.
fn enumerated(name: &str, json: &str) -> (Tensor, f64) {
    let probability = |index: usize| choose(&leaf(), index).sum(Kind::Double).exp().double_value(&[]);
    let mut mean = Tensor::zeros([2, 3], (Kind::Double, Device::Cpu));
    let mut square = 0.0;
    for (a, b) in (0..6).flat_map(|a| (0..6).map(move |b| (a, b))) {
        let gradient = gradient(&mut create(name, json), [a, b]);
        let weight = probability(a) * probability(b);
        square += weight * gradient.square().sum(Kind::Double).double_value(&[]);
        mean += gradient * weight;
    }
    let variance = square - mean.square().sum(Kind::Double).double_value(&[]);
    (mean, variance)
}

/// Gradient of minus the expected return. // [2, 3]
fn exact() -> Tensor {
    let logits = leaf();
    let value = |index: usize| choose(&logits, index).sum(Kind::Double).exp() * (IOI[index][0] + IOI[index][1]);
    let expected: Tensor = (0..6).map(value).sum();
    (-expected).backward();
    logits.grad()
}

fn assert_near(what: &str, actual: &Tensor, expected: &Tensor) {
    let difference = (actual - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{what} is off by {difference}: {actual:?}");
}

#[test]
fn unbiased_estimators_have_the_exact_gradient_in_the_mean() {
    assert_near("reinforce", &enumerated("reinforce", RAW).0, &exact());
    assert_near("reward-to-go", &enumerated("reward-to-go", RAW).0, &exact());
    assert_near("rloo", &enumerated("rloo", RAW).0, &exact());
    // The value head starts at 0, so that λ = 1 is reward-to-go.
    assert_near("a2c", &enumerated("a2c", &format!(r#"{RAW}, "penalty": {{"entropy": 0}}"#)).0, &exact());
    // A group's mean holds the path itself: the gradient is (1 − 1/G) of the exact one.
    let unleashed = format!(r#"{RAW}, "penalty": {{"beta": 0}}"#);
    assert_near("prorl", &(enumerated("prorl", &unleashed).0 * 2.0), &exact());
    let centred = format!(r#"{RAW}, "penalty": {{"beta": 0}}, "normalise": false, "path_mean": false"#);
    assert_near("grpo, centred only", &(enumerated("grpo", &centred).0 * 2.0), &exact());
}

#[test]
fn prorl_varies_least_and_reinforce_most() {
    let unleashed = format!(r#"{RAW}, "penalty": {{"beta": 0}}"#);
    // Scaled to the same mean: twice the gradient has four times the variance.
    let prorl = 4.0 * enumerated("prorl", &unleashed).1;
    let without_positions = 4.0 * enumerated("prorl", &format!(r#"{unleashed}, "position_advantage": false"#)).1;
    let to_go = enumerated("reward-to-go", RAW).1;
    let reinforce = enumerated("reinforce", RAW).1;
    assert!(prorl < to_go && to_go < reinforce, "{prorl} {to_go} {reinforce}");
    assert!(prorl < without_positions, "{prorl} {without_positions}");
}

#[test]
fn grpo_normalises_within_the_group() {
    let scored = group(&[0, 5, 2]); // returns 4, 7.7, 9
    let advantages = create("grpo", RAW).prepare(&scored, &now(), Alone).unwrap().values;
    let mean: f64 = (4.0 + 7.7 + 9.0) / 3.0;
    let deviation = (((4.0 - mean).powi(2) + (7.7 - mean).powi(2) + (9.0 - mean).powi(2)) / 2.0).sqrt() + 1e-4;
    let row = |value: f64| [(value - mean) / deviation, (value - mean) / deviation, 0.0];
    let expected: Vec<f64> = [4.0, 7.7, 9.0].into_iter().flat_map(row).collect();
    assert_near("advantages", &advantages, &Tensor::from_slice(&expected).view([1, 3, 3]));
}

/// One path of an item and a stop, two digits an item.
fn one() -> (Paths, Tensor, Tensor) {
    let paths = Paths::from_items(Tensor::from_slice(&[1_i64, 0]).view([1, 1, 2]));
    let digits =
        |values: [f64; 3]| Tensor::from_slice(&[values[0], values[1], values[2], 0.0, 0.0, 0.0]).view([1, 1, 3, 2]);
    (paths, digits([-1.0, -2.0, -0.5]), digits([-1.1, -2.1, -1.5]))
}

fn one_batch(paths: Paths, advantages: [f64; 2], extra: Vec<(String, Tensor)>) -> Batch {
    let Paths { items, length, stopped, .. } = paths;
    let advantages = Tensor::from_slice(&[advantages[0], advantages[1], 0.0]).view([1, 1, 3]);
    Batch { items, length, stopped, advantages, extra }
}

/// The item's ratio is `e^0.2`, within the bounds; the stop's is `e`, clipped where its advantage is positive.
#[test]
fn grpo_and_ppo_clip_the_ratio_of_whole_actions() {
    let row = |values: [f64; 3]| Tensor::from_slice(&values).view([1, 1, 3]);
    let none = r#""penalty": {"beta": 0, "entropy": 0}"#;
    for (stop_advantage, stop_slope) in [(3.0, 0.0), (-3.0, -3.0 * 1_f64.exp())] {
        let item_slope = 2.0 * 0.2_f64.exp();
        for (name, scale) in [("grpo", 0.5), ("ppo", 1.0)] {
            let (paths, current, old) = one();
            let current = current.set_requires_grad(true);
            let hidden = Tensor::ones([1, 1, 3, 1], (Kind::Float, Device::Cpu));
            let log_probs = LogProbs {
                current: ActionLogProbs { hidden: Some(hidden), ..plain(current.shallow_clone()) },
                reference: None,
                behaviour: Some(plain(old)),
            };
            let zeros = row([0.0, 0.0, 0.0]);
            let extra = vec![("returns".into(), zeros.copy()), ("old_values".into(), zeros)];
            let batch = one_batch(paths, [2.0, stop_advantage], extra);
            let loss = match name {
                "grpo" => create("grpo", none).loss(&log_probs, &batch, &now()),
                _ => create("ppo", &format!(r#"{none}, "clip_high": 0.28"#)).loss(&log_probs, &batch, &now()),
            };
            loss.unwrap().total.backward();
            // A stop lacks a second digit, which is a constant in a real policy.
            let slopes = [item_slope, item_slope, stop_slope, stop_slope, 0.0, 0.0].map(|slope| -slope * scale);
            assert_near(name, &current.grad(), &Tensor::from_slice(&slopes).view([1, 1, 3, 2]));
        }
    }
}

/// `V = w·h + b` with `h = 1` starts at 0, so `∂ ½ mean (V − R)² / ∂b = −mean R` over the two actions.
#[test]
fn the_value_head_learns_returns() {
    let (paths, current, _) = one();
    let mut algorithm = create("a2c", r#""penalty": {"entropy": 0}, "value_weight": 0.5"#);
    let hidden = Tensor::ones([1, 1, 3, 1], (Kind::Float, Device::Cpu));
    let current = ActionLogProbs { hidden: Some(hidden), ..plain(current.to_kind(Kind::Float)) };
    let log_probs = LogProbs { current, reference: None, behaviour: None };
    let returns = Tensor::from_slice(&[4_f32, 2.0, 9.0]).view([1, 1, 3]);
    let batch = one_batch(paths, [0.0, 0.0], vec![("returns".into(), returns)]);
    algorithm.loss(&log_probs, &batch, &now()).unwrap().total.backward();
    for (name, tensor) in algorithm.parameters().unwrap() {
        assert!((tensor.grad().sum(Kind::Double).double_value(&[]) + 0.5 * 3.0).abs() < 1e-6, "{name}");
    }
}

#[test]
fn a_value_head_needs_hidden_states() {
    let made = Registry::open(&[]).unwrap().algorithm("ppo", &serde_json::json!({}), &setup(0));
    let error = made.err().unwrap();
    assert!(error.to_string().contains("hidden"), "{error}");
}

#[test]
fn rloo_wants_a_group() {
    let error = create("rloo", RAW).prepare(&group(&[0]), &now(), Alone).unwrap_err();
    assert!(error.to_string().contains("rl.group"), "{error}");
}
