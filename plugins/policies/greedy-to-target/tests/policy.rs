//! What is recommended, what is nearest, and when the target is reached: with weights set by hand.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_plugin_greedy_to_target::{GreedyParameters, GreedyToTarget};
use prorl_sdk::prelude::*;
use prorl_seqrec::ModelName;
use prorl_seqrec::gru4rec::Gru4RecParameters;
use prorl_seqrec::sasrec::SasRecParameters;

fn setup(items: i64) -> Setup {
    Setup {
        items,
        history: 2,
        path: 4,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    }
}

fn prompt(target: i64) -> Prompts {
    Prompts { history: Tensor::from_slice(&[1i64, 2]).view([1, 2]), target: Tensor::from_slice(&[target]) }
}

fn rows(items: &Tensor) -> Vec<Vec<i64>> {
    Vec::<i64>::try_from(items.flatten(0, -1)).unwrap().chunks(4).map(<[i64]>::to_vec).collect()
}

/// A recurrent network whose state is (1, 0) whatever it reads: an item is as likely as its first coordinate is large.
fn by_hand(top_k: i64, embedding: &[[f32; 2]]) -> GreedyToTarget {
    let gru4rec = Gru4RecParameters { embedding: 2, hidden: 2, ..Gru4RecParameters::default() };
    let parameters = GreedyParameters { model: ModelName::Gru4rec, gru4rec, top_k, ..GreedyParameters::default() };
    let policy = GreedyToTarget::create(parameters, &setup(embedding.len() as i64 - 1)).unwrap();
    let _guard = tch::no_grad_guard();
    for (name, mut weight) in policy.parameters() {
        match name.as_str() {
            "item_embedding.weight" => weight.copy_(&Tensor::from_slice(&embedding.concat()).view([-1, 2])),
            "dense.weight" => {
                let _ = weight.zero_();
            }
            "dense.bias" => weight.copy_(&Tensor::from_slice(&[1f32, 0.0])),
            _ => {}
        }
    }
    policy
}

/// Padding, the known items 1 and 2, the target 3 straight up, then 4 to 8 from the likeliest on.
const PLANE: [[f32; 2]; 9] =
    [[9.0, 9.0], [5.0, 0.0], [4.0, 0.0], [0.0, 1.0], [3.0, 0.1], [2.5, 1.0], [2.0, 0.5], [1.0, 10.0], [-1.0, 3.0]];

#[test]
fn the_nearest_of_the_likeliest_is_taken_until_the_target_is_recommended() {
    // Item 7 is nearer than 5, but only once 5 is taken it is among the three likeliest; then 4 and 6 alone are
    // likelier than the target.
    let found = by_hand(3, &PLANE).rollout(&prompt(3), &Decoding::beam(1)).unwrap();
    assert_eq!(rows(&found.items), [[5, 7, 0, 0]]);
    assert!(found.stopped.all().int64_value(&[]) == 1);
    // Of two recommendations, 7 is never one; of all, the nearest is 7, and the target is recommended at once.
    let two = by_hand(2, &PLANE).rollout(&prompt(3), &Decoding::beam(1)).unwrap();
    assert_eq!(rows(&two.items), [[5, 6, 7, 0]]);
    let all = by_hand(20, &PLANE).rollout(&prompt(3), &Decoding::beam(1)).unwrap();
    assert_eq!(rows(&all.items), [[7, 0, 0, 0]]);
}

#[test]
fn beams_open_with_the_recommended_from_the_nearest_on() {
    let found = by_hand(3, &PLANE).rollout(&prompt(3), &Decoding::beam(4)).unwrap();
    assert_eq!(rows(&found.items), [[5, 7, 0, 0], [6, 7, 0, 0], [4, 7, 0, 0], [7, 5, 0, 0]]);
}

#[test]
fn samples_are_recommended_items() {
    tch::manual_seed(1);
    let drawn = by_hand(3, &PLANE).rollout(&prompt(3), &Decoding::sample(500)).unwrap();
    let first = Vec::<i64>::try_from(drawn.items.select(2, 0).flatten(0, -1)).unwrap();
    assert!(first.iter().all(|item| [4, 5, 6].contains(item)));
    assert!([4, 5, 6].iter().all(|item| first.contains(item)));
}

#[test]
fn imitation_teaches_either_model() {
    for model in [ModelName::Sasrec, ModelName::Gru4rec] {
        tch::manual_seed(2);
        let sasrec = SasRecParameters { hidden: 8, inner: 8, ..SasRecParameters::default() };
        let parameters = GreedyParameters { model, sasrec, ..GreedyParameters::default() };
        let mut policy = GreedyToTarget::create(parameters, &setup(9)).unwrap();
        let paths = Paths::from_items(Tensor::from_slice(&[5i64, 6, 0, 0]).view([1, 1, 4]));
        let mut losses = Vec::new();
        for _ in 0..40 {
            let loss = policy.imitation_loss(&prompt(3), &paths).unwrap().total;
            loss.backward();
            losses.push(loss.double_value(&[]));
            let _guard = tch::no_grad_guard();
            for (name, mut weight) in policy.parameters() {
                let gradient = weight.grad();
                assert!(gradient.defined(), "{name}");
                let _ = weight.g_sub_(&(&gradient * 0.3));
                weight.zero_grad();
            }
        }
        assert!(losses[39] < 0.7 * losses[0], "{model:?}: {losses:?}");
        assert!(policy.log_probs(&prompt(3), &paths, &Query::plain()).is_err());
    }
}

#[test]
fn parameters_are_checked() {
    let refused = |json: &str, wanted: &str| {
        let error = prorl_sdk::parameters::parse::<GreedyParameters>(json).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(r#"{"top_k": 0}"#, "top_k");
    refused(r#"{"model": "bert4rec"}"#, "sasrec");
    refused(r#"{"sasrec": {"heads": 3}}"#, "multiple of `heads`");
    let parameters = GreedyParameters { length: 5, ..GreedyParameters::default() };
    assert!(GreedyToTarget::create(parameters, &setup(9)).err().unwrap().to_string().contains("length"));
}
