//! REINFORCE against closed forms, and in the mean over all that a small policy can do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_reinforce::parameters::ReinforceParameters;
use prorl_plugin_reinforce::reinforce::Reinforce;
use prorl_sdk::algorithm::Alone;
use prorl_sdk::parameters;
use prorl_sdk::prelude::*;

fn create(baseline: Baseline) -> Reinforce {
    with(ReinforceParameters { baseline, rewards: raw(ioi_alone()), ..Default::default() })
}

fn with(parameters: ReinforceParameters) -> Reinforce {
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
    Reinforce::create(parameters, &setup).unwrap()
}

/// Neither centred nor scaled.
fn raw(weights: ObjectiveWeights) -> RewardParameters {
    RewardParameters { weights, scaling: false, ..Default::default() }
}

fn ioi_alone() -> ObjectiveWeights {
    ObjectiveWeights { ioi: 1.0, ior: 0.0, ctr: 0.0 }
}

fn now() -> Progress {
    Progress { epoch: 0, step: 0, steps: 1 }
}

fn scored(items: &[i64], ioi: &[f64], group: i64) -> ScoredPaths {
    let Paths { items, length, stopped, .. } = Paths::from_items(Tensor::from_slice(items).view([-1, group, 2]));
    let ioi = Tensor::from_slice(ioi).view([-1, group, 2]);
    ScoredPaths { items, length, stopped, ior: ioi.zeros_like(), ctr: ioi.zeros_like(), ioi, hidden: None }
}

fn prepare(algorithm: &mut Reinforce, scored: &ScoredPaths) -> Vec<f64> {
    let values = algorithm.prepare(scored, &now(), &Alone).unwrap().values;
    (0..values.numel() as i64).map(|index| values.view(-1).double_value(&[index])).collect()
}

/// Returns 3 and 5, and a path without items.
fn example() -> ScoredPaths {
    scored(&[5, 6, 7, 0, 0, 0], &[1.0, 2.0, 5.0, 0.0, 0.0, 0.0], 3)
}

#[test]
fn every_action_gets_the_whole_return() {
    assert_eq!(prepare(&mut create(Baseline::None), &example()), [3.0, 3.0, 0.0, 5.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn the_groups_mean_is_subtracted() {
    assert_eq!(prepare(&mut create(Baseline::GroupMean), &example()), [-1.0, -1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn rewards_are_discounted_and_weighted() {
    let weights = ObjectiveWeights { ioi: 2.0, ior: 0.5, ctr: 1.0 };
    let mut algorithm = with(ReinforceParameters { rewards: raw(weights), gamma: 0.5, ..Default::default() });
    let mut scored = scored(&[5, 6], &[1.0, 2.0], 1);
    (scored.ior, scored.ctr) = (&scored.ioi * 4.0, &scored.ioi / 4.0);
    let expected = (2.0 + 2.0 + 0.125) + 0.5 * (4.0 + 4.0 + 0.25);
    assert_eq!(prepare(&mut algorithm, &scored), [expected, expected, 0.0]);
}

#[test]
fn the_moving_baseline_is_the_mean_of_the_batches_before() {
    let mut algorithm = create(Baseline::Moving);
    assert_eq!(prepare(&mut algorithm, &example())[0], 3.0 - 4.0, "the first batch is its own baseline");
    let second = scored(&[5, 0], &[14.0, 0.0], 1);
    assert_eq!(prepare(&mut algorithm, &second)[0], 14.0 - 4.0);
    assert!((prepare(&mut algorithm, &second)[0] - (14.0 - (0.9 * 4.0 + 0.1 * 14.0))).abs() < 1e-12);
}

#[test]
fn a_saved_state_continues_identically() {
    let mut straight = create(Baseline::Moving);
    prepare(&mut straight, &example());
    let mut resumed = create(Baseline::Moving);
    resumed.load_state(straight.state()).unwrap();
    let next = scored(&[5, 0, 6, 7], &[14.0, 0.0, 1.0, -2.0], 2);
    assert_eq!(prepare(&mut straight, &next), prepare(&mut resumed, &next));
    assert_eq!(straight.state()[..4], resumed.state()[..4]);
    assert!(resumed.load_state(Vec::new()).is_err());
}

/// Another process with two paths, of returns 10 and 12.
struct WithAnother;

impl Collective for WithAnother {
    fn processes(&self) -> u64 {
        2
    }
    fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor + Tensor::from_slice(&[22.0, 2.0]))
    }
}

#[test]
fn the_moving_baseline_is_that_of_all_processes() {
    let advantages = create(Baseline::Moving).prepare(&example(), &now(), &WithAnother).unwrap();
    assert_eq!(advantages.values.double_value(&[0, 0, 0]), 3.0 - (3.0 + 5.0 + 22.0) / 4.0);
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

/// Over all paths, each with its probability, the gradient is that of the expected return.
#[test]
fn the_gradient_is_unbiased() {
    let mut algorithm = create(Baseline::None);
    let leaf = || Tensor::from_slice(&[0.0, 0.3, -0.4, 0.2, -0.6, 0.5]).view([2, 3]).set_requires_grad(true);
    let (estimated, exact) = (leaf(), leaf());
    let value = |index: usize| choose(&exact, index).sum(Kind::Double).exp() * (IOI[index][0] + IOI[index][1]);
    let expected: Tensor = (0..6).map(value).sum();
    (-expected).backward();

    let mut weighted = |index: usize| {
        let scored = scored(&PATHS[index], &IOI[index], 1);
        let advantages = algorithm.prepare(&scored, &now(), &Alone).unwrap().values;
        let log_prob = choose(&estimated, index); // [2]
        let probability = log_prob.sum(Kind::Double).exp().detach();
        let ScoredPaths { items, length, stopped, .. } = scored;
        let batch = Batch { items, length, stopped, advantages, extra: Vec::new() };
        let log_probs = log_probs(log_prob.constant_pad_nd([0, 1]).view([1, 1, 3, 1]));
        probability * algorithm.loss(&log_probs, &batch, &now()).unwrap().total
    };
    let mean: Tensor = (0..6).map(&mut weighted).sum();
    mean.backward();
    let difference = (estimated.grad() - exact.grad()).abs().max().double_value(&[]);
    assert!(difference < 1e-12, "off by {difference}");
}

fn log_probs(digits: Tensor) -> LogProbs {
    let current = ActionLogProbs { digits, entropy: None, distribution: None, hidden: None };
    LogProbs { current, reference: None, behaviour: None }
}

/// `∂/∂digit = (−A + β·(1 − exp(−d))) / (L · #paths)` with k3, one path, one item of two digits and no stop in sight.
#[test]
fn a_kl_term_may_be_added() {
    let parameters = ReinforceParameters {
        penalty: PenaltyParameters { beta: 0.5, kl: KlEstimator::K3, ..Default::default() },
        ..Default::default()
    };
    let mut algorithm = with(parameters);
    assert!(algorithm.requirements().reference);
    let digits = |a: f64, b: f64| Tensor::from_slice(&[a, b, 0.0, 0.0, 0.0, 0.0]).view([1, 1, 3, 2]);
    let leaf = digits(-1.0, -2.0).set_requires_grad(true);
    let mut log_probs = log_probs(leaf.shallow_clone());
    log_probs.reference =
        Some(ActionLogProbs { digits: digits(-1.5, -1.0), entropy: None, distribution: None, hidden: None });
    let batch = Batch {
        items: Tensor::from_slice(&[5_i64, 0]).view([1, 1, 2]),
        length: Tensor::from_slice(&[1_i64]).view([1, 1]),
        stopped: Tensor::from_slice(&[false]).view([1, 1]),
        advantages: Tensor::from_slice(&[3.0, 0.0, 0.0]).view([1, 1, 3]),
        extra: Vec::new(),
    };
    algorithm.loss(&log_probs, &batch, &now()).unwrap().total.backward();
    let slope = |d: f64| (-3.0 + 0.5 * (1.0 - (-d).exp())) / 2.0;
    let difference = (leaf.grad() - digits(slope(0.5), slope(-1.0))).abs().max().double_value(&[]);
    assert!(difference < 1e-12, "off by {difference}");
}

#[test]
fn all_metrics_are_declared() {
    let declared: Vec<String> = Reinforce::metrics().into_iter().map(|metric| metric.name).collect();
    for (name, _) in create(Baseline::None).prepare(&example(), &now(), &Alone).unwrap().metrics {
        assert!(declared.contains(&name), "{name}");
    }
}

#[test]
fn parameters_are_checked_by_name() {
    let parse = |json: &str| parameters::parse::<ReinforceParameters>(json);
    assert_eq!(parse(r#"{"baseline": "group-mean"}"#).unwrap().baseline, Baseline::GroupMean);
    assert!(parse(r#"{"momentum": 2}"#).unwrap_err().to_string().contains("`momentum` is 2"));
    assert!(parse(r#"{"base": "none"}"#).unwrap_err().to_string().contains("base"));
}
