//! Components that break their contract, each in one way: the conformance kit says which, and nothing ends the process.
#![allow(clippy::unwrap_used)]

use prorl_sdk::export::{library, registration};
use prorl_sdk::masked;
use prorl_sdk::prelude::*;
use prorl_testkit::conformance::{Check, Silent, Verdict, check_library};
use tch::Reduction;

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Nothing {}
impl Parameters for Nothing {}

const HONEST: u8 = 0;
const PANICS_WHEN_MADE: u8 = 1;
const PANICS_WHEN_CALLED: u8 = 2;
const PANICS_WHEN_DROPPED: u8 = 3;
const WRONG_SHAPE: u8 = 4;
const WRONG_TYPE: u8 = 5;
const NOT_A_NUMBER: u8 = 6;
const COPIED_WEIGHTS: u8 = 7;
const UNSEEDED: u8 = 8;
const ORDER_MATTERS: u8 = 9;
const CHANGES_INPUTS: u8 = 10;
const NO_GRADIENT: u8 = 11;
const UNDECLARED_METRIC: u8 = 12;

/// Every user likes the same items. Breaks its contract in the way of `FAULT`.
struct Popularity<const FAULT: u8> {
    bias: Tensor,  // [V]
    other: Tensor, // [1], without influence where `FAULT` says so
}

impl<const FAULT: u8> Drop for Popularity<FAULT> {
    fn drop(&mut self) {
        assert!(FAULT != PANICS_WHEN_DROPPED, "a panic in drop");
    }
}

impl<const FAULT: u8> Popularity<FAULT> {
    fn scores(&self) -> Tensor {
        if FAULT == NO_GRADIENT { self.bias.shallow_clone() } else { &self.bias * &self.other } // [V]
    }
}

impl<const FAULT: u8> RewardModel for Popularity<FAULT> {
    type Parameters = Nothing;

    fn create(_: Nothing, setup: &Setup) -> Result<Self> {
        assert!(FAULT != PANICS_WHEN_MADE, "a panic in create");
        let fresh = |size: i64| Tensor::rand([size], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        Ok(Self { bias: fresh(setup.items), other: fresh(1) })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let given = |tensor: &Tensor| {
            if FAULT == COPIED_WEIGHTS {
                tensor.detach().copy().set_requires_grad(true)
            } else {
                tensor.shallow_clone()
            }
        };
        vec![("bias".into(), given(&self.bias)), ("other".into(), given(&self.other))]
    }

    fn set_training(&mut self, _: bool) {}

    fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        assert!(FAULT != PANICS_WHEN_CALLED, "a panic in score_paths");
        let (batch, group, path) = paths.sizes();
        let scores = self.scores();
        let log_probs = scores.log_softmax(-1, Kind::Float); // [V]
        let mut own = log_probs.index_select(0, &(&prompts.target - 1)); // [B]
        match FAULT {
            NOT_A_NUMBER => own = own.fill(f64::NAN),
            UNSEEDED => own -= Tensor::rand([batch], (Kind::Float, Device::Cpu)),
            ORDER_MATTERS => own -= Tensor::arange(batch, (Kind::Float, Device::Cpu)),
            CHANGES_INPUTS => drop(prompts.target.shallow_clone().fill_(1)),
            _ => {}
        }
        let above = log_probs.gt_tensor(&log_probs.index_select(0, &(&prompts.target - 1)).unsqueeze(-1)); // [B, V]
        let rank = above.sum_dim_intlist(-1, false, Kind::Int64) + 1; // [B]
        let columns = if FAULT == WRONG_SHAPE { path } else { path + 1 };
        let wide = |values: &Tensor| values.view([batch, 1, 1]).repeat([1, group, columns]);
        let click = scores.sigmoid().take(&(&paths.items - 1).clamp_min(0)); // [B, G, P]
        Ok(PathScores {
            target_log_prob: wide(&own),
            target_rank: if FAULT == WRONG_TYPE { wide(&rank).to_kind(Kind::Float) } else { wide(&rank) },
            click_prob: masked::keep(&click, &paths.items.gt(0)),
        })
    }

    fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor> {
        Ok(self.scores().constant_pad_nd([1, 0]).unsqueeze(0).repeat([items.size()[0], 1])) // [N, V + 1]
    }

    fn loss(&mut self, sequences: &Sequences) -> Result<Loss> {
        let labels = (&sequences.labels - 1).flatten(0, -1); // [N * T]
        let scores = self.scores().unsqueeze(0).expand([labels.size()[0], -1], false); // [N * T, V]
        let loss = Loss::new(scores.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -1, 0.0));
        let total = loss.total.shallow_clone();
        Ok(if FAULT == UNDECLARED_METRIC { loss.with("a/secret", &total) } else { loss })
    }
}

macro_rules! register {
    ($($name:literal: $fault:ident,)*) => {
        $(prorl_sdk::register_reward_model!($name, "Every user likes the same items.", Popularity<$fault>);)*
    };
}

register! {
    "honest": HONEST,
    "panics-when-made": PANICS_WHEN_MADE,
    "panics-when-called": PANICS_WHEN_CALLED,
    "panics-when-dropped": PANICS_WHEN_DROPPED,
    "wrong-shape": WRONG_SHAPE,
    "wrong-type": WRONG_TYPE,
    "not-a-number": NOT_A_NUMBER,
    "copied-weights": COPIED_WEIGHTS,
    "unseeded": UNSEEDED,
    "order-matters": ORDER_MATTERS,
    "changes-inputs": CHANGES_INPUTS,
    "no-gradient": NO_GRADIENT,
    "undeclared-metric": UNDECLARED_METRIC,
}

fn failures(name: &str) -> Vec<Check> {
    let components: Vec<_> = registration::descriptions().into_iter().filter(|it| it.name == name).collect();
    assert_eq!(components.len(), 1, "{name}");
    let checks = check_library(library::module("test", "0"), &components, Device::Cpu, &mut Silent);
    checks.into_iter().filter(|check| matches!(check.verdict, Verdict::Failed(_))).collect()
}

#[test]
fn the_kit_says_what_is_wrong_with_each() {
    for (name, reason) in [
        ("panics-when-made", "panicked: a panic in create"),
        ("panics-when-called", "panicked: a panic in score_paths"),
        ("wrong-shape", "[6, 3, 4], but should have [6, 3, 5]"),
        ("wrong-type", "target_rank is Float, but should be Int64"),
        ("not-a-number", "target_log_prob should be finite, but is NaN at [0, 0, 0]"),
        ("copied-weights", "weight `bias` is a copy"),
        ("unseeded", "the same seed gives the same scores"),
        ("order-matters", "the order of prompts and paths changes nothing"),
        ("changes-inputs", "its inputs are left as they were"),
        ("no-gradient", "no gradient reaches `other`"),
        ("undeclared-metric", "`a/secret` is reported but not declared"),
    ] {
        let said: Vec<String> = failures(name).iter().map(Check::to_string).collect();
        assert!(said.iter().any(|line| line.contains(reason)), "{name}: {said:#?}");
    }
    for name in ["honest", "panics-when-dropped"] {
        assert!(failures(name).is_empty(), "{name}: {:#?}", failures(name));
    }
}
