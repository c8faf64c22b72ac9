//! Real shared libraries, opened with dlopen: what crosses arrives whole.
#![allow(clippy::unwrap_used)]

use prorl_host::plugins::Registry;
use prorl_sdk::export::description::Kind as ComponentKind;
use prorl_sdk::policy::{Decoding, Query};
use prorl_sdk::prompts::Prompts;
use prorl_sdk::setup::Setup;
use serde_json::json;
use tch::{Device, Kind, Tensor, no_grad};

const ITEMS: i64 = 30;

fn setup() -> Setup {
    let digit =
        |divisor: i64| Tensor::arange(ITEMS + 1, (Kind::Int64, Device::Cpu)).floor_divide_scalar(divisor).remainder(8);
    let codes = Tensor::stack(&[digit(8), digit(1), digit(1).ones_like()], 1);
    let _ = codes.get(0).zero_();
    // Item 8 of block 1 begins anew at digit 0, so that no code but padding's is all zeros.
    Setup {
        items: ITEMS,
        history: 4,
        path: 3,
        codes: Some(codes),
        codebook_size: 8,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    }
}

fn small_policy() -> serde_json::Value {
    json!({ "layers": 1, "d_model": 16, "d_ff": 16, "heads": 2, "d_kv": 8 })
}

fn prompts() -> Prompts {
    Prompts {
        history: Tensor::randint_low(1, ITEMS + 1, [5, 4], (Kind::Int64, Device::Cpu)),
        target: Tensor::randint_low(1, ITEMS + 1, [5], (Kind::Int64, Device::Cpu)),
    }
}

#[test]
fn all_components_of_the_project_are_found_beside_the_binary() {
    let registry = Registry::open(&[]).unwrap();
    for (kind, name) in [
        (ComponentKind::Tokenizer, "sem-ids"),
        (ComponentKind::Tokenizer, "rq-kmeans"),
        (ComponentKind::Policy, "t5"),
        (ComponentKind::RewardModel, "sasrec"),
        (ComponentKind::RewardModel, "gru4rec"),
        (ComponentKind::Algorithm, "a2c"),
        (ComponentKind::Algorithm, "grpo"),
        (ComponentKind::Algorithm, "ppo"),
        (ComponentKind::Algorithm, "prorl"),
        (ComponentKind::Algorithm, "reinforce"),
        (ComponentKind::Algorithm, "reward-to-go"),
        (ComponentKind::Algorithm, "rloo"),
    ] {
        let component = registry.find(kind, name).unwrap();
        assert!(!component.description.doc.is_empty(), "{name} says nothing of itself");
        assert!(component.description.schema["properties"].is_object(), "{name} has no schema");
        registry.complete(kind, name, &component.description.defaults).unwrap();
    }
}

#[test]
fn gradients_run_through_the_boundary() {
    tch::manual_seed(3);
    let registry = Registry::open(&[]).unwrap();
    let mut policy = registry.policy("t5", &small_policy(), &setup()).unwrap();
    policy.set_training(false).unwrap();
    let prompts = prompts();
    let paths = no_grad(|| policy.rollout(&prompts, &Decoding::sample(2))).unwrap().paths();
    let log_probs = policy.log_probs(&prompts, &paths, &Query::plain()).unwrap();
    log_probs.digits.sum(Kind::Float).backward();
    for (name, parameter) in policy.parameters().unwrap() {
        assert!(parameter.grad().defined(), "no gradient reached {name}");
    }
}

#[test]
fn weights_are_shared_not_copied() {
    tch::manual_seed(4);
    let registry = Registry::open(&[]).unwrap();
    let mut model = registry.reward_model("gru4rec", &json!({}), &setup()).unwrap();
    model.set_training(false).unwrap();
    let items = Tensor::from_slice(&[3i64, 4, 5]).reshape([1, 3]);
    let scores = |model: &mut prorl_host::plugins::ForeignRewardModel| {
        let scores = no_grad(|| model.next_item_scores(&items)).unwrap(); // [1, V + 1], padding first
        scores.narrow(1, 1, ITEMS).abs().sum(Kind::Float).double_value(&[])
    };
    let before = scores(&mut model);
    for (_, mut parameter) in model.parameters().unwrap() {
        let _ = no_grad(|| parameter.zero_());
    }
    assert!(before > 0.0);
    assert_eq!(scores(&mut model), 0.0);
}

#[test]
fn faults_name_plugin_component_call_and_reason() {
    let registry = Registry::open(&[]).unwrap();
    let unknown = registry.policy("t5", &json!({ "laeyrs": 3 }), &setup()).err().unwrap().to_string();
    assert!(unknown.contains("t5") && unknown.contains("laeyrs"), "{unknown}");
    let mut model = registry.reward_model("sasrec", &json!({}), &setup()).unwrap();
    let shape = model.next_item_scores(&Tensor::from(1i64)).err().unwrap().to_string();
    assert!(shape.contains("prorl-plugin-sasrec") && shape.contains("next_item_scores"), "{shape}");
    let nearest = registry.find(ComponentKind::RewardModel, "sasrek").err().unwrap().to_string();
    assert!(nearest.contains("did you mean `sasrec`"), "{nearest}");
}

#[test]
fn what_is_no_plugin_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    let refused = Registry::open(&[text]).err().unwrap().to_string();
    assert!(refused.contains("text.so") && refused.contains("cannot be opened"), "{refused}");
    assert_eq!(refused.lines().count(), 1, "{refused}");
}
