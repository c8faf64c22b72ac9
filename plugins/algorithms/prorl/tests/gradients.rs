//! Gradients of the loss against closed forms, and in the mean over all that a small policy can do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_prorl::parameters::ProRlParameters;
use prorl_plugin_prorl::prorl::ProRl;
use prorl_sdk::algorithm::Alone;
use prorl_sdk::prelude::*;

fn create(parameters: ProRlParameters) -> ProRl {
    let setup = Setup {
        items: 9,
        history: 1,
        path: 2,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    ProRl::create(parameters, &setup).unwrap()
}

fn leashed(penalty: PenaltyParameters) -> ProRlParameters {
    ProRlParameters { penalty, ..Default::default() }
}

fn log_probs(current: &Tensor) -> ActionLogProbs {
    ActionLogProbs { digits: current.shallow_clone(), entropy: None, distribution: None, hidden: None }
}

fn now() -> Progress {
    Progress { epoch: 0, step: 0, steps: 1 }
}

/// One prompt, P = 2, L = 2: one item and a stop; two items; a stop alone.
fn batch() -> Batch {
    Batch {
        items: Tensor::from_slice(&[5_i64, 0, 6, 7, 0, 0]).view([1, 3, 2]),
        length: Tensor::from_slice(&[1_i64, 2, 0]).view([1, 3]),
        stopped: Tensor::from_slice(&[true, false, true]).view([1, 3]),
        advantages: Tensor::from_slice(&[2_f32, -1.0, 0.0, 0.5, 3.0, 0.0, 0.0, 0.0, 0.0]).view([1, 3, 3]),
        extra: Vec::new(),
    }
}

/// Log-probabilities of [`batch`], 0 where nothing was chosen. // [1, 3, 3, 2]
fn digits(values: [f32; 8]) -> Tensor {
    let [a, b, stop, c, d, e, f, alone] = values;
    let rows = [a, b, stop, 0.0, 0.0, 0.0, c, d, e, f, 0.0, 0.0, alone, 0.0, 0.0, 0.0, 0.0, 0.0];
    Tensor::from_slice(&rows).view([1, 3, 3, 2])
}

const CURRENT: [f32; 8] = [-1.0, -2.0, -0.5, -0.7, -1.5, -3.0, -0.1, -9.0];
const REFERENCE: [f32; 8] = [-1.2, -1.0, -0.9, -0.7, -2.5, -1.0, -0.3, -1.0];

/// Two paths count and an item has two digits: `∂/∂digit = (−A + β·k'(d)) / 2`, halved for an item's digits.
fn assert_gradient(kl: KlEstimator, beta: f32, slope: fn(f32) -> f32) {
    let mut algorithm = create(leashed(PenaltyParameters { beta: f64::from(beta), kl, ..Default::default() }));
    let leaf = digits(CURRENT).set_requires_grad(true);
    let reference = Some(log_probs(&digits(REFERENCE)));
    let log_probs = LogProbs { current: log_probs(&leaf), reference, behaviour: None };
    algorithm.loss(&log_probs, &batch(), &now()).unwrap().total.backward();

    let advantages = [2.0, 2.0, -1.0, 0.5, 0.5, 3.0, 3.0, 0.0];
    let halves = [0.25, 0.25, 0.5, 0.25, 0.25, 0.25, 0.25, 0.0]; // the last path has no item
    let expected: [f32; 8] =
        std::array::from_fn(|i| halves[i] * (beta * slope(CURRENT[i] - REFERENCE[i]) - advantages[i]));
    let difference = (leaf.grad() - digits(expected)).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "{kl:?}: off by {difference}");
}

#[test]
fn gradient_without_kl() {
    assert_gradient(KlEstimator::K1, 0.0, |_| 0.0);
}

#[test]
fn gradient_with_k1() {
    assert_gradient(KlEstimator::K1, 0.3, |_| 1.0);
}

#[test]
fn gradient_with_k2() {
    assert_gradient(KlEstimator::K2, 0.3, |d| d);
}

#[test]
fn gradient_with_k3() {
    assert_gradient(KlEstimator::K3, 0.3, |d| 1.0 - (-d).exp());
}

/// `∂KL/∂logit_c = π(c)·(d_c − KL)` where allowed, 0 where barred, and no NaN anywhere.
#[test]
fn gradient_with_exact() {
    let mut algorithm = create(leashed(PenaltyParameters { beta: 0.5, kl: KlEstimator::Exact, ..Default::default() }));
    let logits = |row: [f32; 3]| Tensor::from_slice(&row).view([1, 1, 1, 1, 3]).expand([1, 3, 3, 2, 3], false).copy();
    let leaf = logits([0.4, f32::NEG_INFINITY, -0.8]).set_requires_grad(true);
    let with =
        |distribution: Tensor| ActionLogProbs { distribution: Some(distribution), ..log_probs(&digits(CURRENT)) };
    let reference = logits([1.0, f32::NEG_INFINITY, 0.0]).log_softmax(-1, Kind::Float);
    let current = leaf.log_softmax(-1, Kind::Float);
    let d = (&current - &reference).nan_to_num(0.0, 0.0, 0.0);
    let log_probs =
        LogProbs { current: with(current.shallow_clone()), reference: Some(with(reference)), behaviour: None };
    algorithm.loss(&log_probs, &batch(), &now()).unwrap().total.backward();

    let kl = (current.exp() * &d).sum_dim_intlist(-1, true, Kind::Float);
    let rates = digits([0.25, 0.25, 0.5, 0.25, 0.25, 0.25, 0.25, 0.0]).unsqueeze(-1);
    let expected = current.exp() * (d - kl) * rates * 0.5;
    let difference = (leaf.grad() - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "off by {difference}"); // false for NaN
}

#[test]
fn entropy_is_made_larger() {
    let mut algorithm = create(leashed(PenaltyParameters { entropy: 0.1, ..Default::default() }));
    let entropy = digits([1.0, 3.0, 0.5, 1.0, 1.0, 2.0, 2.0, 7.0]);
    let current = ActionLogProbs { entropy: Some(entropy), ..log_probs(&digits(CURRENT)) };
    let loss = algorithm.loss(&LogProbs { current, reference: None, behaviour: None }, &batch(), &now()).unwrap();
    let metric = |name: &str| loss.metrics.iter().find(|(key, _)| key == name).unwrap().1.double_value(&[]);
    let expected = (2.0 + 0.5 + 1.0 + 2.0) / 2.0;
    assert!((metric("algorithm/entropy") - expected).abs() < 1e-6);
    assert!((loss.total.double_value(&[]) - (metric("algorithm/policy_loss") - 0.1 * expected)).abs() < 1e-6);
}

#[test]
fn an_absent_reference_is_an_error() {
    let log_probs = LogProbs { current: log_probs(&digits(CURRENT)), reference: None, behaviour: None };
    let error = create(ProRlParameters::default()).loss(&log_probs, &batch(), &now()).unwrap_err();
    assert!(error.to_string().contains("reference"), "{error}");
}

/// All paths of items 1 and 2 with P = 2, as items of the two positions; 0 is the stop.
const PATHS: [[i64; 2]; 6] = [[1, 0], [2, 0], [1, 1], [1, 2], [2, 1], [2, 2]];
/// Made-up IoI of each path's steps.
const IOI: [[f64; 2]; 6] = [[1.0, 0.0], [-2.0, 0.0], [1.0, 4.0], [1.0, -0.5], [-2.0, 3.0], [-2.0, 0.7]];

/// Log-probability of both actions of the `index`th path; a stop only in second place. // [2]
fn choose(logits: &Tensor, index: usize) -> Tensor {
    let first = logits.get(0).narrow(0, 1, 2).log_softmax(-1, Kind::Double).get(PATHS[index][0] - 1);
    let second = logits.get(1).log_softmax(-1, Kind::Double).get(PATHS[index][1]);
    Tensor::stack(&[first, second], 0)
}

/// Over all pairs of paths, each with its probability, the gradient is that of the expected return, times
/// `1 − 1/G = ½` because the baseline of each path contains the path itself.
#[test]
fn the_gradient_is_unbiased() {
    let weights = ObjectiveWeights { ioi: 1.0, ior: 0.0, ctr: 0.0 };
    let rewards = RewardParameters { weights, centering: false, scaling: false, ..Default::default() };
    let parameters = ProRlParameters { rewards, ..leashed(PenaltyParameters::default()) };
    let mut algorithm = create(parameters);
    let logits = Tensor::from_slice(&[0.0, 0.3, -0.4, 0.2, -0.6, 0.5]).view([2, 3]).set_requires_grad(true);
    let mut weighted = |(a, b): (usize, usize)| {
        let scored = pair(a, b);
        let advantages = algorithm.prepare(&scored, &now(), &Alone).unwrap().values;
        let log_prob = Tensor::stack(&[choose(&logits, a), choose(&logits, b)], 0); // [2, 2]
        let probability = log_prob.sum(Kind::Double).exp().detach();
        let current = log_probs(&log_prob.constant_pad_nd([0, 1]).view([1, 2, 3, 1]));
        let ScoredPaths { items, length, stopped, .. } = scored;
        let batch = Batch { items, length, stopped, advantages, extra: Vec::new() };
        let log_probs = LogProbs { current, reference: None, behaviour: None };
        probability * algorithm.loss(&log_probs, &batch, &now()).unwrap().total
    };
    let pairs = (0..6).flat_map(|a| (0..6).map(move |b| (a, b)));
    let mean: Tensor = pairs.map(&mut weighted).sum();
    mean.backward();
    let estimated = logits.grad();

    let logits = logits.detach().copy().set_requires_grad(true);
    let value = |index: usize| choose(&logits, index).sum(Kind::Double).exp() * (IOI[index][0] + IOI[index][1]);
    let expected: Tensor = (0..6).map(value).sum();
    (-expected / 2.0).backward();
    let difference = (estimated - logits.grad()).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "off by {difference}");
}

/// A group of the `a`th and the `b`th path.
fn pair(a: usize, b: usize) -> ScoredPaths {
    let items = Tensor::from_slice(&[PATHS[a], PATHS[b]].concat()).view([1, 2, 2]);
    let Paths { items, length, stopped, .. } = Paths::from_items(items);
    let ioi = Tensor::from_slice(&[IOI[a], IOI[b]].concat()).view([1, 2, 2]);
    ScoredPaths { items, length, stopped, ior: ioi.zeros_like(), ctr: ioi.zeros_like(), ioi, hidden: None }
}
