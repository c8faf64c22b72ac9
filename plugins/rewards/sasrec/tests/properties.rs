//! What must hold of every sequence model, held against SasRec.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../seqrec/tests/shared/properties.rs"]
mod properties;

use properties::*;
use prorl_plugin_sasrec::{SasRec, SasRecParameters};
use prorl_sdk::reward_model::RewardModel;

fn fresh() -> SasRec {
    model::<SasRec>(SasRecParameters::default())
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

/// Keys' bias shifts all scores of a query alike, so it has no gradient.
#[test]
fn gradient_reaches_every_parameter() {
    every_parameter_learns(fresh(), "key.bias");
}

#[test]
fn dropout_is_on_exactly_while_training() {
    dropout_is_for_training(fresh());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    wrong_shapes_are_refused(fresh());
}

/// Three items at once, of histories and paths of up to nine.
#[test]
fn of_longer_sequences_each_prefix_reads_its_last_items() {
    let parameters = SasRecParameters { max_length: 3, ..SasRecParameters::default() };
    columns_are_prefixes(model::<SasRec>(parameters.clone()));
    a_batch_is_its_rows(model::<SasRec>(parameters));
}

#[test]
fn left_padding_is_no_matter_where_there_is_none() {
    let _guard = tch::no_grad_guard();
    let mut model = model::<SasRec>(SasRecParameters { max_length: 5, ..SasRecParameters::default() });
    let (prompts, paths) = full();
    let (left, right) = (model.left_padded_scores(&prompts, &paths), model.score_paths(&prompts, &paths));
    assert_same(&left.unwrap(), &right.unwrap());
}

#[test]
fn left_padding_shows_the_future_in_part() {
    // Where the state is read, all columns are hidden alike, so that none is: it sees padding and all items at once.
    let _guard = tch::no_grad_guard();
    let mut model = fresh();
    let (prompts, paths) = full();
    let (left, right) =
        (model.left_padded_scores(&prompts, &paths).unwrap(), model.score_paths(&prompts, &paths).unwrap());
    assert_ne!(left.target_log_prob, right.target_log_prob);
    let last = prompts.history.select(1, 4);
    let changed = last.remainder(30) + 1;
    prompts.history.select(1, 4).copy_(&changed);
    let moved = model.left_padded_scores(&prompts, &paths).unwrap();
    let differs = moved.target_log_prob.select(-1, 0).ne_tensor(&left.target_log_prob.select(-1, 0));
    assert_eq!(differs.all().int64_value(&[]), 1, "an item behind the column that is read has no effect");
}
