//! Golden numbers of RecBole against a model, through the contract that the host uses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_sdk::prelude::*;
use prorl_testkit::closeness::{EXACT, GRADIENTS, VALUES, assert_close};
use prorl_testkit::fixtures::{Case, Tensors, cases, device_name};
use serde_json::Value;

/// Runs every case of `kind`; `parameters` reads a model's parameters from `case.json`.
pub fn run<M: RewardModel>(kind: &str, parameters: impl Fn(&Value) -> M::Parameters) {
    for case in cases(kind) {
        let meta = case.meta();
        let mut model = M::create(parameters(&meta), &setup(&meta)).unwrap();
        load(&model, &case);
        model.set_training(false);
        let inputs = case.tensors("inputs.safetensors");
        let expected = case.tensors("expected.safetensors");
        let guard = tch::no_grad_guard();
        states_agree(&mut model, &inputs, &expected);
        scores_agree(&mut model, &inputs, &expected);
        paths_agree(&mut model, &inputs, &expected);
        drop(guard);
        losses_agree(&mut model, &inputs, &expected);
        println!("{}: ok", case.name);
    }
}

/// A whole number of `case.json`.
pub fn integer(meta: &Value, key: &str) -> i64 {
    meta[key].as_i64().unwrap_or_else(|| panic!("case.json has no whole number `{key}`"))
}

/// A number of `case.json`.
pub fn number(meta: &Value, key: &str) -> f64 {
    meta[key].as_f64().unwrap_or_else(|| panic!("case.json has no number `{key}`"))
}

fn setup(meta: &Value) -> Setup {
    Setup {
        items: integer(meta, "n_items_with_padding") - 1,
        history: 10,
        path: 10,
        codes: None,
        codebook_size: 0,
        device: device_name(),
        hidden: 0,
        popularity: None,
    }
}

fn load<M: RewardModel>(model: &M, case: &Case) {
    let mut weights = case.tensors("model.safetensors");
    let _guard = tch::no_grad_guard();
    for (name, mut parameter) in model.parameters() {
        let weight = weights.remove(&name).unwrap_or_else(|| panic!("RecBole has no `{name}`"));
        assert_eq!(parameter.size(), weight.size(), "{name}");
        parameter.copy_(&weight);
    }
    assert!(weights.is_empty(), "unknown: {:?}", weights.keys());
}

fn before(values: &Tensor, width: i64, length: &Tensor) -> Tensor {
    assert_eq!(values.size()[1], width);
    Tensor::arange(width, (Kind::Int64, length.device())).lt_tensor(&length.unsqueeze(-1)) // [N, T] bool
}

fn states_agree<M: RewardModel>(model: &mut M, inputs: &Tensors, expected: &Tensors) {
    let items = &inputs["item_seq"];
    let states = model.prefix_states(items).unwrap();
    let read = before(&states, items.size()[1], &inputs["item_length"]).unsqueeze(-1);
    let zero = |states: &Tensor| states.masked_fill(&read.logical_not(), 0.0);
    let expected = zero(&expected["prefix_states"]);
    assert_close("prefix_states", &zero(&states), &expected, VALUES);
}

fn scores_agree<M: RewardModel>(model: &mut M, inputs: &Tensors, expected: &Tensors) {
    let scores = model.next_item_scores(&inputs["item_seq"]).unwrap();
    assert_close("next_item_scores", &scores, &expected["next_item_scores"], VALUES);
}

fn paths_agree<M: RewardModel>(model: &mut M, inputs: &Tensors, expected: &Tensors) {
    let items = &inputs["item_seq"]; // [N, T]
    let width = items.size()[1];
    let known = &inputs["history_length"]; // [N]
    let history = items * before(items, width, known).to_kind(Kind::Int64); // [N, T]
    let at = Tensor::arange(width, (Kind::Int64, known.device())) + known.unsqueeze(-1); // [N, T]
    let path = items.gather(1, &at.clamp_max(width - 1), false)
        * at.lt_tensor(&inputs["item_length"].unsqueeze(-1)).to_kind(Kind::Int64); // [N, T]
    let prompts = Prompts { history, target: inputs["target"].shallow_clone() };
    let length = &inputs["item_length"] - known; // [N]
    let scores = model.score_paths(&prompts, &Paths::from_items(path.unsqueeze(1))).unwrap();

    // Columns after the end are not defined in the fixture; here they repeat the last.
    let tell = |what: &str, actual: &Tensor, defined: &Tensor, tolerance| {
        let actual = actual.squeeze_dim(1).narrow(1, 0, width);
        let hidden = before(&actual, width, defined).logical_not();
        let expected = expected[what].masked_fill(&hidden, 0.0);
        assert_close(what, &actual.masked_fill(&hidden, 0.0), &expected, tolerance);
    };
    tell("target_log_prob", &scores.target_log_prob, &(&length + 1), VALUES);
    tell("target_rank", &scores.target_rank, &(&length + 1), EXACT);
    tell("click_prob", &scores.click_prob, &length, VALUES);
}

/// The fixture's loss is that of the next item after each whole sequence, `target`.
fn losses_agree<M: RewardModel>(model: &mut M, inputs: &Tensors, expected: &Tensors) {
    let items = inputs["item_seq"].shallow_clone(); // [N, T]
    let last = (&inputs["item_length"] - 1).unsqueeze(-1); // [N, 1]
    let labels = items.zeros_like().scatter(1, &last, &inputs["target"].unsqueeze(-1)); // [N, T]
    let loss = model.loss(&Sequences { items, labels }).unwrap().total;
    assert_close("next_item_loss", &loss.view(1), &expected["next_item_loss"], VALUES);
    loss.backward();
    for (name, parameter) in model.parameters() {
        if let Some(expected) = expected.get(&format!("grad.{name}")) {
            assert_close(&name, &parameter.grad(), expected, GRADIENTS);
        }
    }
}
