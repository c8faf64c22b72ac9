//! A reward model made of an encoder.

use crate::encoder::SequenceEncoder;
use crate::{cross_entropy, details, paths, prefixes, sampled_softmax, sequences};
use prorl_sdk::error::{Error, Result};
use prorl_sdk::loss::Loss;
use prorl_sdk::parameters::Parameters;
use prorl_sdk::path_details::PathDetails;
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::{PathScores, RewardModel, Sequences};
use prorl_sdk::setup::Setup;
use tch::Tensor;

/// The reward model that judges, ranks and learns with the encoder `E`.
///
/// Of sequences longer than the encoder's window it reads the last items: each prefix's own last items
/// when it judges, each sequence's last items when it learns.
pub struct SequenceModel<E> {
    encoder: E,
    training: bool,
}

impl<E> SequenceModel<E> {
    /// The encoder that it is made of.
    pub fn encoder(&self) -> &E {
        &self.encoder
    }
}

impl<E: SequenceEncoder> RewardModel for SequenceModel<E> {
    type Parameters = E::Parameters;

    const CAPABILITIES: &'static [&'static str] = &["left_padded_scores", "path_details", "prefix_states"];

    fn create(parameters: Self::Parameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        let encoder = E::create(parameters, setup)?;
        Ok(Self { encoder, training: false })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.encoder.parameters()
    }

    fn set_training(&mut self, training: bool) {
        self.training = training;
    }

    fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        paths::score(&self.encoder, prompts, paths)
    }

    /// Padding's column is -inf, so that it is never the best.
    fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor> {
        check(items)?;
        let states = prefixes::last_states(&self.encoder, items); // [N, D]
        let scores = states.mm(&self.encoder.item_embedding().tr()); // [N, V + 1]
        let _ = scores.narrow(1, 0, 1).fill_(f64::NEG_INFINITY);
        Ok(scores)
    }

    fn loss(&mut self, sequences: &Sequences) -> Result<Loss> {
        let (items, labels) = (&sequences.items, &sequences.labels); // [N, T]
        check(items)?;
        if labels.size() != items.size() {
            return Err(Error::Tensor(format!(
                "labels {:?} should have the shape of items {:?}",
                labels.size(),
                items.size()
            )));
        }
        let window = self.encoder.window().unwrap_or(i64::MAX);
        let last = sequences::last_positions(&sequences::trim(items), window); // [N, T']
        let items = items.gather(1, &last, false); // [N, T']
        let labels = labels.gather(1, &last, false).flatten(0, -1); // [N * T']
        let labelled = labels.nonzero().squeeze_dim(-1); // [M]
        let states = self.encoder.states(&items, self.training).flatten(0, 1); // [N * T', D]
        let (states, labels) = (states.index_select(0, &labelled), labels.index_select(0, &labelled)); // [M, D], [M]
        let embedding = self.encoder.item_embedding();
        let loss = match self.encoder.negatives() {
            0 => cross_entropy::mean(&states, embedding, &labels),
            count => {
                let negatives = sampled_softmax::draw(count, embedding); // [K]
                sampled_softmax::mean(&states, embedding, &labels, &negatives)
            }
        };
        Ok(Loss::new(loss).mean_of(labelled.size()[0]))
    }

    fn left_padded_scores(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        paths::score_left_padded(&self.encoder, prompts, paths)
    }

    fn path_details(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathDetails> {
        details::of_paths(&self.encoder, prompts, paths)
    }

    fn prefix_states(&mut self, items: &Tensor) -> Result<Tensor> {
        check(items)?;
        Ok(prefixes::states(&self.encoder, items))
    }
}

fn check(items: &Tensor) -> Result<()> {
    let size = items.size();
    if size.len() == 2 && size.iter().all(|&n| n > 0) {
        return Ok(());
    }
    Err(Error::Tensor(format!("items {size:?} should be [N, T] with at least one position")))
}
