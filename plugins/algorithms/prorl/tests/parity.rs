//! Golden numbers of the published objective: three batches in order, the moments frozen before one of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_prorl::parameters::ProRlParameters;
use prorl_plugin_prorl::prorl::ProRl;
use prorl_sdk::algorithm::Alone;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, parameters};
use prorl_testkit::closeness::{EXACT, GRADIENTS, Tolerance, VALUES, assert_close};
use prorl_testkit::fixtures::{Case, Tensors, cases, device, device_name};
use std::collections::HashMap;

#[test]
fn the_published_objective() {
    for case in cases("prorl") {
        let sizes = Sizes::of(&case);
        let tensors = case.tensors("case.safetensors");
        // `twin` shows the rewards, which the trait does not.
        let (mut algorithm, mut twin) = (create(&case, &sizes), create(&case, &sizes));
        for index in 0..sizes.batches {
            let batch = Golden { case: &case.name, sizes: &sizes, tensors: &tensors, index };
            check(&batch, &mut algorithm, &mut twin);
        }
    }
}

fn check(golden: &Golden<'_>, algorithm: &mut ProRl, twin: &mut ProRl) {
    let path = golden.sizes.path;
    let progress = golden.progress();
    let scored = golden.scored();
    let paths = scored.paths();

    let advantages = algorithm.prepare(&scored, &progress, &Alone).unwrap();
    let (_, mean) = algorithm.state().into_iter().find(|(name, _)| name == "moments.mean").unwrap();
    let active = actions::active(&paths); // [B, G, P + 1]
    golden.assert("moments_mean", &mean, VALUES);
    golden.assert("not_an_item", &paths.invalid(), EXACT);
    golden.assert("duplicate", &paths.repeated(), EXACT);
    golden.assert("active", &active.narrow(-1, 0, path), EXACT);
    golden.assert("fused_reward", &twin.rewards(&scored, &progress, &Alone).unwrap(), VALUES);
    golden.assert("advantage", &advantages.values.narrow(-1, 0, path), VALUES);
    assert_eq!(advantages.values.select(-1, path).abs().max().double_value(&[]), 0.0, "nobody stops after P items");

    let leaf = golden.log_prob("token_log_prob").set_requires_grad(true); // [B, G, P + 1, L]
    let log_probs = LogProbs {
        current: plain(&leaf),
        reference: Some(plain(&golden.log_prob("ref_token_log_prob"))),
        behaviour: None,
    };
    let log_prob = actions::mean_over_digits(&log_probs.current.digits, &paths); // [B, G, P + 1]
    let stops = paths.stops().logical_and(&active);
    let of_items = log_prob.masked_fill(&paths.stops(), 0.0).narrow(-1, 0, path);
    let of_stops = log_prob.masked_fill(&stops.logical_not(), 0.0).sum_dim_intlist(-1, false, Kind::Float);
    golden.assert("item_log_prob", &of_items, VALUES);
    golden.assert("eos_log_prob", &of_stops, VALUES);

    let Paths { items, length, stopped, .. } = paths;
    let batch = Batch { items, length, stopped, advantages: advantages.values, extra: advantages.extra };
    let loss = algorithm.loss(&log_probs, &batch, &progress).unwrap();
    let metric = |name: &str| loss.metrics.iter().find(|(key, _)| key == name).unwrap().1.shallow_clone();
    let kl = metric("algorithm/kl") * golden.sizes.beta;
    golden.assert("policy_loss", &metric("algorithm/policy_loss").view(1), VALUES);
    golden.assert("kl_loss", &kl.view(1), VALUES);
    loss.total.backward();
    let gradient = leaf.grad().narrow(2, 0, path).reshape([-1, path * golden.sizes.digits]); // [B · G, P · L]
    golden.assert("grad_token_log_prob", &gradient, GRADIENTS);
}

struct Sizes {
    prompts: i64,
    group: i64,
    path: i64,
    digits: i64,
    eos: i64,
    beta: f64,
    batches: i64,
    freeze: i64,
}

impl Sizes {
    fn of(case: &Case) -> Self {
        let meta = case.meta();
        let integer = |name: &str| meta[name].as_i64().unwrap();
        Self {
            prompts: integer("B"),
            group: integer("G"),
            path: integer("max_path"),
            digits: integer("tokens_per_item"),
            eos: integer("eos_token"),
            beta: meta["beta_kl"].as_f64().unwrap(),
            batches: integer("batches"),
            freeze: integer("freeze_before_batch"),
        }
    }
}

fn create(case: &Case, sizes: &Sizes) -> ProRl {
    let meta = case.meta();
    let json = format!(
        r#"{{"rewards": {{"weights": {}, "min_std": {}, "centering": true}}, "gamma": {}, "penalty": {{"beta": {}}}}}"#,
        meta["weights"], meta["min_std"], meta["gamma"], meta["beta_kl"]
    );
    let parameters: ProRlParameters = parameters::parse(&json).unwrap();
    let setup = Setup {
        items: 1,
        history: 1,
        path: sizes.path,
        codes: None,
        codebook_size: 0,
        device: device_name(),
        hidden: 0,
        popularity: None,
    };
    ProRl::create(parameters, &setup).unwrap()
}

/// One batch of a case.
struct Golden<'a> {
    case: &'a str,
    sizes: &'a Sizes,
    tensors: &'a Tensors,
    index: i64,
}

impl Golden<'_> {
    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[&format!("{}.{name}", self.index)]
    }

    fn assert(&self, name: &str, actual: &Tensor, tolerance: Tolerance) {
        assert_close(&format!("{}: batch {}: {name}", self.case, self.index), actual, self.get(name), tolerance);
    }

    fn progress(&self) -> Progress {
        Progress { epoch: i64::from(self.index >= self.sizes.freeze), step: self.index, steps: self.sizes.batches }
    }

    /// The batch's paths and raw rewards. Ids number the distinct codes from 1; ctr 0 marks a code that is no item.
    fn scored(&self) -> ScoredPaths {
        let Sizes { prompts, group, path, digits, eos, .. } = *self.sizes;
        let (tokens, ctr, length) = (self.get("tokens"), self.get("ctr"), self.get("num_items"));
        let mut ids = HashMap::new();
        let (mut items, mut stopped) = (Vec::new(), Vec::new());
        for (prompt, sample) in (0..prompts).flat_map(|prompt| (0..group).map(move |sample| (prompt, sample))) {
            let token = |position: i64| tokens.int64_value(&[prompt, sample, position]);
            let count = length.int64_value(&[prompt, sample]);
            for position in 0..path {
                let code: Vec<i64> = (0..digits).map(|digit| token(position * digits + digit)).collect();
                let next = ids.len() as i64 + 1;
                let valid = position < count && ctr.double_value(&[prompt, sample, position]) != 0.0;
                items.push(if valid { *ids.entry(code).or_insert(next) } else { 0 });
            }
            stopped.push(count < path && token(count * digits) == eos);
        }
        ScoredPaths {
            items: Tensor::from_slice(&items).view([prompts, group, path]).to_device(device()),
            length: length.shallow_clone(),
            stopped: Tensor::from_slice(&stopped).view([prompts, group]).to_device(device()),
            ioi: self.get("ioi").shallow_clone(),
            ior: self.get("ior").shallow_clone(),
            ctr: ctr.shallow_clone(),
            hidden: None,
        }
    }

    /// Log-probabilities of tokens `[B · G, P · L]` by position and digit. // [B, G, P + 1, L]
    fn log_prob(&self, name: &str) -> Tensor {
        let Sizes { prompts, group, path, digits, .. } = *self.sizes;
        self.get(name).constant_pad_nd([0, digits]).reshape([prompts, group, path + 1, digits])
    }
}

fn plain(digits: &Tensor) -> ActionLogProbs {
    ActionLogProbs { digits: digits.shallow_clone(), entropy: None, distribution: None, hidden: None }
}
