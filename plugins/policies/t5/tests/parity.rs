//! Numbers of Hugging Face Transformers for the same weights, through the plugin's public trait.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_t5::{T5Parameters, T5Policy};
use prorl_sdk::prelude::*;
use prorl_testkit::closeness::{GRADIENTS, VALUES, assert_close};
use prorl_testkit::fixtures::{Case, Tensors, cases, device, device_name};
use serde_json::Value;
use std::collections::BTreeMap;

struct Fixture {
    case: Case,
    meta: Value,
    policy: T5Policy,
    prompts: Prompts,
    inputs: Tensors,
    expected: Tensors,
}

fn number(meta: &Value, name: &str) -> i64 {
    meta[name].as_i64().unwrap_or_else(|| panic!("case.json lacks {name}"))
}

impl Fixture {
    fn load(case: Case) -> Self {
        let meta = case.meta();
        let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
        let (digits, size) = (number(&meta, "tokens_per_item"), number(&meta, "codebook_size"));
        let items = items_of(&inputs, digits, size);
        let prompts = prompts_of(&inputs["input_ids"], &items, digits);
        let codes: Vec<i64> = std::iter::once(vec![0; digits as usize])
            .chain(in_order(&items).into_iter().map(|tokens| codes_of(&tokens, size)))
            .flatten()
            .collect();
        let setup = Setup {
            items: items.len() as i64,
            history: prompts.history.size()[1],
            path: number(&meta["beam"], "max_new_tokens") / digits,
            codes: Some(Tensor::from_slice(&codes).view([-1, digits])),
            codebook_size: size,
            device: device_name(),
            hidden: 0,
            popularity: None,
        };
        let mut policy = T5Policy::create(parameters(&meta), &setup).unwrap();
        load(&policy, &case.tensors("model.safetensors"));
        policy.set_training(false);
        Self { case, meta, policy, prompts, inputs, expected }
    }

    fn labels(&self) -> Paths {
        let labels = self.inputs["labels"].unsqueeze(1); // [B, 1, T]
        let digits = number(&self.meta, "tokens_per_item");
        let length = (labels.ne(0).sum_dim_intlist(-1, false, Kind::Int64) - 1).floor_divide_scalar(digits);
        let items = Tensor::zeros([labels.size()[0], 1, labels.size()[2] / digits], (Kind::Int64, device()));
        Paths { items, stopped: length.ones_like().to_kind(Kind::Bool), length, tokens: Some(labels) }
    }

    fn name(&self, what: &str) -> String {
        format!("{}: {what}", self.case.name)
    }
}

fn parameters(meta: &Value) -> T5Parameters {
    T5Parameters {
        layers: number(meta, "num_layers"),
        d_model: number(meta, "d_model"),
        d_kv: number(meta, "d_kv"),
        d_ff: number(meta, "d_ff"),
        heads: number(meta, "num_heads"),
        dropout: 0.0,
        buckets: number(meta, "relative_attention_num_buckets"),
        max_distance: number(meta, "relative_attention_max_distance"),
        layer_norm_epsilon: meta["layer_norm_epsilon"].as_f64().unwrap(),
        constrained: false,
        ..T5Parameters::default()
    }
}

fn load(policy: &T5Policy, saved: &Tensors) {
    let parameters = policy.parameters();
    assert_eq!(parameters.len(), saved.len(), "the fixture's tensors are not the policy's");
    for (name, mut parameter) in parameters {
        let saved = saved.get(&name).unwrap_or_else(|| panic!("the fixture lacks {name}"));
        assert_eq!(parameter.size(), saved.size(), "{name}");
        tch::no_grad(|| parameter.copy_(saved));
    }
}

/// Every group of tokens that spells an item, numbered from 1.
fn items_of(inputs: &Tensors, digits: i64, size: i64) -> BTreeMap<Vec<i64>, i64> {
    let mut items = BTreeMap::new();
    for tokens in [&inputs["input_ids"], &inputs["labels"]] {
        for row in rows(tokens) {
            let spelt = row.iter().position(|&token| token > size * digits).unwrap_or(row.len());
            for group in row[..spelt].chunks_exact(digits as usize) {
                let next = items.len() as i64 + 1;
                items.entry(group.to_vec()).or_insert(next);
            }
        }
    }
    items
}

fn in_order(items: &BTreeMap<Vec<i64>, i64>) -> Vec<Vec<i64>> {
    let mut numbered: Vec<_> = items.iter().map(|(tokens, number)| (*number, tokens.clone())).collect();
    numbered.sort();
    numbered.into_iter().map(|(_, tokens)| tokens).collect()
}

fn codes_of(tokens: &[i64], size: i64) -> Vec<i64> {
    tokens.iter().enumerate().map(|(digit, token)| token - 1 - digit as i64 * size).collect()
}

fn rows(tokens: &Tensor) -> Vec<Vec<i64>> {
    Vec::<Vec<i64>>::try_from(tokens.view([-1, tokens.size()[tokens.dim() - 1]])).unwrap()
}

/// History and target that the encoder's input spells.
fn prompts_of(input: &Tensor, items: &BTreeMap<Vec<i64>, i64>, digits: i64) -> Prompts {
    let prompts: Vec<Vec<i64>> = rows(input)
        .into_iter()
        .map(|row| row.chunks_exact(digits as usize).map_while(|group| items.get(group).copied()).collect())
        .collect();
    let longest = prompts.iter().map(Vec::len).max().unwrap() - 1;
    let (mut history, mut target) = (Vec::new(), Vec::new());
    for mut prompt in prompts {
        target.push(prompt.pop().unwrap());
        prompt.resize(longest, 0);
        history.extend(prompt);
    }
    let history = Tensor::from_slice(&history).view([-1, longest as i64]).to_device(device());
    Prompts { history, target: Tensor::from_slice(&target).to_device(device()) }
}

#[test]
fn states_and_logits() {
    for case in cases("t5") {
        let mut fixture = Fixture::load(case);
        let labels = fixture.labels();
        let shown: BTreeMap<String, Tensor> =
            fixture.policy.inspect(&fixture.prompts, &labels).unwrap().into_iter().collect();
        let states = &shown["encoder_states"];
        let mask = fixture.inputs["attention_mask"].narrow(1, 0, states.size()[1]).unsqueeze(-1);
        let expected = &fixture.expected["encoder_last_hidden_state"].narrow(1, 0, states.size()[1]) * &mask;
        assert_close(&fixture.name("encoder states"), &(states * &mask), &expected, VALUES);
        assert_close(&fixture.name("logits"), &shown["logits"], &fixture.expected["logits"], VALUES);
    }
}

#[test]
fn imitation_loss_and_gradients() {
    for case in cases("t5") {
        let mut fixture = Fixture::load(case);
        let digits = number(&fixture.meta, "tokens_per_item");
        let size = number(&fixture.meta, "codebook_size");
        let items = items_of(&fixture.inputs, digits, size);
        let labels = rows(&fixture.inputs["labels"]);
        let most = number(&fixture.meta["beam"], "max_new_tokens") / digits;
        let paths: Vec<i64> = labels
            .iter()
            .flat_map(|row| {
                let mut path: Vec<i64> =
                    row.chunks_exact(digits as usize).map_while(|group| items.get(group).copied()).collect();
                path.resize(most as usize, 0);
                path
            })
            .collect();
        let paths = Paths::from_items(Tensor::from_slice(&paths).view([-1, 1, most]).to_device(device()));
        let loss = fixture.policy.imitation_loss(&fixture.prompts, &paths).unwrap().total;
        assert_close(&fixture.name("loss"), &loss.view(1), &fixture.expected["pretrain_loss"], VALUES);
        loss.backward();
        let parameters: BTreeMap<String, Tensor> = fixture.policy.parameters().into_iter().collect();
        let mut compared = 0;
        for (name, expected) in &fixture.expected {
            if let Some(name) = name.strip_prefix("grad.") {
                assert_close(
                    &fixture.name(&format!("gradient of {name}")),
                    &parameters[name].grad(),
                    expected,
                    GRADIENTS,
                );
                compared += 1;
            }
        }
        assert!(compared > 0, "the fixture holds no gradient");
    }
}

#[test]
fn greedy_sequences() {
    for case in cases("t5") {
        let mut fixture = Fixture::load(case);
        let rollout = fixture.policy.rollout(&fixture.prompts, &Decoding::beam(1)).unwrap();
        assert_sequences(&fixture.name("greedy"), &rollout.tokens.unwrap().select(1, 0), &fixture.expected["greedy"]);
    }
}

#[test]
fn beam_sequences_and_scores() {
    for case in cases("t5") {
        let mut fixture = Fixture::load(case);
        let beams = number(&fixture.meta["beam"], "num_beams");
        let rollout = fixture.policy.rollout(&fixture.prompts, &Decoding::beam(beams)).unwrap();
        let (expected, scores) = (&fixture.expected["beam_sequences"], &fixture.expected["beam_scores"]);
        let prompts = fixture.prompts.len();
        let (expected, scores) = (expected.view([prompts, beams, -1]), scores.view([prompts, beams]));
        assert_close(&fixture.name("beam scores"), &rollout.score, &scores, VALUES);
        let tokens = rollout.tokens.unwrap();
        for prompt in 0..prompts {
            assert_beams(&fixture.name("beams"), &tokens.get(prompt), &expected.get(prompt), &scores.get(prompt));
        }
    }
}

fn trimmed(tokens: &Tensor) -> Vec<Vec<i64>> {
    let mut rows = rows(tokens);
    for row in &mut rows {
        while row.last() == Some(&0) {
            row.pop();
        }
    }
    rows
}

fn assert_sequences(what: &str, actual: &Tensor, expected: &Tensor) {
    // Transformers' sequences begin with the start token where they are kept whole.
    let expected: Vec<Vec<i64>> = trimmed(expected).into_iter().map(without_start).collect();
    assert_eq!(trimmed(actual), expected, "{what}");
}

fn without_start(row: Vec<i64>) -> Vec<i64> {
    if row.first() == Some(&0) { row[1..].to_vec() } else { row }
}

/// Equal, but for neighbours whose scores differ by less than 1e-5.
fn assert_beams(what: &str, actual: &Tensor, expected: &Tensor, scores: &Tensor) {
    let (actual, scores) = (trimmed(actual), Vec::<f64>::try_from(&scores.to_kind(Kind::Double)).unwrap());
    let expected: Vec<Vec<i64>> = trimmed(expected).into_iter().map(without_start).collect();
    for (index, row) in actual.iter().enumerate() {
        let near = |other: &usize| (scores[*other] - scores[index]).abs() < 1e-5;
        let found = (0..expected.len()).filter(near).any(|other| &expected[other] == row);
        assert!(found, "{what}: beam {index} is {row:?} instead of {:?}", expected[index]);
    }
}
