//! What must hold of the advantages whatever the paths are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_prorl::parameters::ProRlParameters;
use prorl_plugin_prorl::prorl::ProRl;
use prorl_sdk::algorithm::Alone;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, parameters};
use std::sync::{Arc, Barrier, Mutex};

const PATH: i64 = 4;

fn create(parameters: ProRlParameters) -> ProRl {
    let setup = Setup {
        items: 9,
        history: 1,
        path: PATH,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    ProRl::create(parameters, &setup).unwrap()
}

/// Neither centred nor scaled.
fn raw(weights: ObjectiveWeights) -> RewardParameters {
    RewardParameters { weights, centering: false, scaling: false, ..Default::default() }
}

fn at(epoch: i64, step: i64) -> Progress {
    Progress { epoch, step, steps: 100 }
}

fn prepare(algorithm: &mut ProRl, scored: &ScoredPaths) -> Tensor {
    algorithm.prepare(scored, &at(0, 0), &Alone).unwrap().values
}

/// Numbers in [0, 1) that look random and are the same for the same seed.
fn noise(size: &[i64], seed: i64) -> Tensor {
    let count: i64 = size.iter().product();
    let x = (Tensor::arange(count, (Kind::Double, Device::Cpu)) + seed as f64 * 1000.0).sin() * 43758.5453;
    (&x - x.floor()).to_kind(Kind::Float).view(size)
}

/// Paths of every length from 0 to P, with repeats and codes that are no item (0).
fn scored(prompts: i64, group: i64, seed: i64) -> ScoredPaths {
    let size = [prompts, group, PATH];
    let length = (noise(&[prompts, group], seed + 1) * (PATH + 1) as f64).to_kind(Kind::Int64); // [B, G]
    let within = Tensor::arange(PATH, (Kind::Int64, Device::Cpu)).lt_tensor(&length.unsqueeze(-1)); // [B, G, P]
    let items = (noise(&size, seed + 2) * 5.0).to_kind(Kind::Int64).masked_fill(&within.logical_not(), 0);
    let valid = items.gt(0);
    let reward = |offset: i64| (noise(&size, seed + offset) * 2.0 - 0.7).masked_fill(&valid.logical_not(), 0.0);
    ScoredPaths {
        stopped: length.lt(PATH),
        length,
        ioi: reward(3),
        ior: reward(4) * 50.0,
        ctr: reward(5),
        items,
        hidden: None,
    }
}

fn choose(scored: &ScoredPaths, dim: i64, index: &[i64]) -> ScoredPaths {
    let index = Tensor::from_slice(index);
    let pick = |tensor: &Tensor| tensor.index_select(dim, &index);
    ScoredPaths {
        items: pick(&scored.items),
        length: pick(&scored.length),
        stopped: pick(&scored.stopped),
        ioi: pick(&scored.ioi),
        ior: pick(&scored.ior),
        ctr: pick(&scored.ctr),
        hidden: None,
    }
}

fn assert_near(actual: &Tensor, expected: &Tensor) {
    let difference = (actual - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-4, "off by {difference}");
}

/// Weights 1, no centring: rewards are 1, 2 and stop; 3 and stop. Returns are (3, 2, 0) and (3, 0); the group's means
/// are (3, 1, 0).
#[test]
fn a_worked_example() {
    let weights = ObjectiveWeights { ioi: 1.0, ior: 0.0, ctr: 0.0 };
    let mut algorithm = create(ProRlParameters { rewards: raw(weights), ..Default::default() });
    let Paths { items, length, stopped, .. } =
        Paths::from_items(Tensor::from_slice(&[5_i64, 6, 0, 0, 7, 0, 0, 0]).view([1, 2, 4]));
    let ioi = Tensor::from_slice(&[1_f32, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]).view([1, 2, 4]);
    let scored =
        ScoredPaths { items, length, stopped, ior: ioi.zeros_like(), ctr: ioi.zeros_like(), ioi, hidden: None };
    let expected = Tensor::from_slice(&[0_f32, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0]).view([1, 2, 5]);
    assert_near(&prepare(&mut algorithm, &scored), &expected);
}

#[test]
fn advantages_of_a_position_sum_to_0() {
    for seed in 0..5 {
        let scored = scored(3, 6, seed);
        let sums = prepare(&mut create(ProRlParameters::default()), &scored).sum_dim_intlist(1, false, Kind::Float);
        assert_near(&sums, &sums.zeros_like());
    }
}

#[test]
fn without_position_advantage_all_actions_share_the_path() {
    let parameters = ProRlParameters { position_advantage: false, ..Default::default() };
    let scored = scored(3, 6, 7);
    let values = prepare(&mut create(parameters), &scored); // [B, G, P + 1]
    let first = values.narrow(-1, 0, 1);
    let active = actions::active(&scored.paths());
    assert_near(&values, &first.expand_as(&values).masked_fill(&active.logical_not(), 0.0));
    let sums = first.sum_dim_intlist(1, false, Kind::Float);
    assert_near(&sums, &sums.zeros_like());
}

#[test]
fn permuting_the_group_permutes_the_advantages() {
    let scored = scored(3, 6, 1);
    let order = [3, 0, 5, 2, 1, 4];
    let values = prepare(&mut create(ProRlParameters::default()), &scored);
    let permuted = prepare(&mut create(ProRlParameters::default()), &choose(&scored, 1, &order));
    assert_near(&permuted, &values.index_select(1, &Tensor::from_slice(&order)));
}

#[test]
fn a_path_without_items_is_ignored() {
    let mut scored = scored(2, 3, 2);
    let empty = Tensor::from_slice(&[0_i64, 0, 1]).eq(1); // [G]
    let wipe = |tensor: &Tensor, mask: &Tensor| tensor.masked_fill(mask, 0);
    scored.length = wipe(&scored.length, &empty);
    for tensor in [&mut scored.items, &mut scored.ioi, &mut scored.ior, &mut scored.ctr] {
        *tensor = wipe(tensor, &empty.unsqueeze(-1));
    }
    scored.stopped = scored.length.lt(PATH);
    let with = prepare(&mut create(ProRlParameters::default()), &scored);
    let without = prepare(&mut create(ProRlParameters::default()), &choose(&scored, 1, &[0, 1]));
    assert_near(&with.narrow(1, 0, 2), &without);
    assert_near(&with.narrow(1, 2, 1), &Tensor::zeros([2, 1, PATH + 1], (Kind::Float, Device::Cpu)));
}

#[test]
fn a_group_of_one_has_no_advantage() {
    let values = prepare(&mut create(ProRlParameters::default()), &scored(5, 1, 3));
    assert_eq!(values.abs().max().double_value(&[]), 0.0);
}

#[test]
fn a_batch_of_invalid_items_is_finite() {
    let mut scored = scored(2, 3, 4);
    for tensor in [&mut scored.items, &mut scored.ioi, &mut scored.ior, &mut scored.ctr] {
        *tensor = tensor.zeros_like();
    }
    let advantages = create(ProRlParameters::default()).prepare(&scored, &at(0, 0), &Alone).unwrap();
    assert!(advantages.values.isfinite().all().int64_value(&[]) == 1);
    assert!(advantages.metrics.iter().all(|(_, value)| value.double_value(&[]).is_finite()));
}

fn moments(algorithm: &ProRl) -> Vec<Tensor> {
    algorithm.state().into_iter().filter(|(name, _)| name.starts_with("moments")).map(|(_, tensor)| tensor).collect()
}

#[test]
fn moments_freeze_after_the_first_epoch() {
    let mut algorithm = create(ProRlParameters::default());
    algorithm.prepare(&scored(3, 4, 5), &at(0, 3), &Alone).unwrap();
    let before = moments(&algorithm);
    algorithm.prepare(&scored(3, 4, 6), &at(1, 4), &Alone).unwrap();
    assert_eq!(before, moments(&algorithm));
}

#[test]
fn moments_may_freeze_by_steps() {
    let rewards = RewardParameters { moments_steps: 2, centering: true, ..Default::default() };
    let mut algorithm = create(ProRlParameters { rewards, ..Default::default() });
    algorithm.prepare(&scored(3, 4, 5), &at(5, 1), &Alone).unwrap();
    let before = moments(&algorithm);
    assert!(before[0].double_value(&[]) > 0.0, "the second step is still counted, in whatever epoch");
    algorithm.prepare(&scored(3, 4, 6), &at(0, 2), &Alone).unwrap();
    assert_eq!(before, moments(&algorithm));
}

#[test]
fn a_saved_state_continues_identically() {
    let mut straight = create(ProRlParameters::default());
    straight.prepare(&scored(3, 4, 8), &at(0, 0), &Alone).unwrap();
    let mut resumed = create(ProRlParameters::default());
    resumed.load_state(straight.state()).unwrap();
    let next = scored(3, 4, 9);
    assert_eq!(prepare(&mut straight, &next), prepare(&mut resumed, &next));
    assert!(resumed.load_state(Vec::new()).is_err());
}

/// One of two threads that add up their tensors.
struct Half {
    slots: Arc<[Mutex<Option<Tensor>>; 2]>,
    barrier: Arc<Barrier>,
    rank: usize,
}

impl Collective for Half {
    fn processes(&self) -> u64 {
        2
    }
    fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        *self.slots[self.rank].lock().unwrap() = Some(tensor.copy());
        self.barrier.wait();
        let parts = [0, 1].map(|rank| self.slots[rank].lock().unwrap().as_ref().unwrap().copy());
        self.barrier.wait();
        Ok(&parts[0] + &parts[1])
    }
}

#[test]
fn two_processes_have_the_moments_of_all() {
    let (slots, barrier) = (Arc::new([Mutex::new(None), Mutex::new(None)]), Arc::new(Barrier::new(2)));
    let half = |rank: usize| {
        let half = Half { slots: slots.clone(), barrier: barrier.clone(), rank };
        std::thread::spawn(move || {
            let mut algorithm = create(ProRlParameters::default());
            let own = choose(&valid(scored(4, 6, 10)), 0, &[2 * rank as i64, 2 * rank as i64 + 1]);
            let advantages = algorithm.prepare(&own, &at(0, 0), &half).unwrap().values;
            (algorithm.state(), advantages)
        })
    };
    let threads = [half(0), half(1)];
    let mut alone = create(ProRlParameters::default());
    let advantages = prepare(&mut alone, &valid(scored(4, 6, 10)));
    for (rank, thread) in threads.into_iter().enumerate() {
        let (state, own) = thread.join().unwrap();
        for ((_, of_half), (_, of_all)) in state.iter().zip(alone.state()) {
            assert!(of_half.allclose(&of_all, 1e-12, 1e-12, true));
        }
        assert_near(&own, &advantages.narrow(0, 2 * rank as i64, 2));
    }
}

/// The same without invalid items, whose punishment depends on the process's own minimum.
fn valid(mut scored: ScoredPaths) -> ScoredPaths {
    scored.items = scored.items.where_self(&scored.paths().invalid().logical_not(), &Tensor::from(9_i64));
    scored
}

#[test]
fn all_metrics_are_declared() {
    let declared: Vec<String> = ProRl::metrics().into_iter().map(|metric| metric.name).collect();
    let advantages = create(ProRlParameters::default()).prepare(&scored(2, 3, 11), &at(0, 0), &Alone).unwrap();
    for (name, _) in advantages.metrics {
        assert!(declared.contains(&name), "{name}");
    }
}

#[test]
fn parameters_are_checked_by_name() {
    let parse = |json: &str| parameters::parse::<ProRlParameters>(json);
    let set = parse(r#"{"rewards": {"weights": {"ctr": 0.1}}, "penalty": {"kl": "k3"}}"#).unwrap();
    assert_eq!((set.rewards.weights.ctr, set.rewards.weights.ioi, set.penalty.kl), (0.1, 1.0, KlEstimator::K3));
    assert!(set.rewards.centering && set.penalty.beta == 0.01, "what is not named keeps ProRL's own default");
    let refused = |json: &str| parse(json).unwrap_err().to_string();
    assert!(refused(r#"{"gama": 1}"#).contains("gama"));
    assert!(refused(r#"{"gamma": 1.5}"#).contains("`gamma` is 1.5"));
    assert!(refused(r#"{"rewards": {"weights": {"iou": 1}}}"#).contains("iou"));
}

#[test]
fn only_what_is_used_is_asked_for() {
    let asked = |beta: f64, kl: KlEstimator, entropy: f64| {
        let requirements = create(ProRlParameters {
            penalty: PenaltyParameters { beta, kl, entropy, kl_target: 0.0 },
            ..Default::default()
        });
        let requirements = requirements.requirements();
        (requirements.reference, requirements.distribution, requirements.entropy)
    };
    assert_eq!(asked(0.01, KlEstimator::K1, 0.0), (true, false, false));
    assert_eq!(asked(0.01, KlEstimator::Exact, 0.0), (true, true, false));
    assert_eq!(asked(0.0, KlEstimator::Exact, 0.1), (false, false, true));
}
