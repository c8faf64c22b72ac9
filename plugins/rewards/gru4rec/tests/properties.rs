//! What must hold of every sequence model, held against Gru4Rec.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../seqrec/tests/shared/properties.rs"]
mod properties;

use properties::*;
use prorl_plugin_gru4rec::{Gru4Rec, Gru4RecParameters};
use prorl_sdk::reward_model::RewardModel;

fn fresh() -> Gru4Rec {
    model::<Gru4Rec>(Gru4RecParameters { layers: 2, ..Gru4RecParameters::default() })
}

#[test]
fn columns_of_path_scores_are_prefixes() {
    columns_are_prefixes(fresh());
}

#[test]
fn a_path_without_valid_items_changes_nothing() {
    nothing_valid_changes_nothing(fresh());
}

#[test]
fn without_history_all_items_are_equally_likely() {
    nothing_known_is_uniform(fresh());
}

#[test]
fn a_batch_is_nothing_but_its_rows() {
    a_batch_is_its_rows(fresh());
}

#[test]
fn learning_all_positions_at_once_is_learning_all_prefixes() {
    all_positions_at_once(fresh(), 6);
}

#[test]
fn gradient_reaches_every_parameter() {
    every_parameter_learns(fresh(), "nothing");
}

#[test]
fn dropout_is_on_exactly_while_training() {
    dropout_is_for_training(fresh());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    wrong_shapes_are_refused(fresh());
}

#[test]
fn left_padding_hides_the_user() {
    // The state is read before the first item, so that only its column counts: all users are the same.
    let _guard = tch::no_grad_guard();
    let mut model = fresh();
    let (one, paths) = full();
    let (other, _) = full();
    let other = prorl_sdk::prompts::Prompts { target: one.target.shallow_clone(), ..other };
    let scores = model.left_padded_scores(&one, &paths).unwrap();
    assert_eq!(scores.target_log_prob, model.left_padded_scores(&other, &paths).unwrap().target_log_prob);
    assert_ne!(scores.target_log_prob, model.score_paths(&one, &paths).unwrap().target_log_prob);
}
