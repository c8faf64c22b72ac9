//! Greedy steps towards the target behind the SDK's `Policy`.

use crate::nearest::NearestOfLikeliest;
use crate::parameters::GreedyParameters;
use prorl_sdk::prelude::*;
use prorl_seqrec::{SequenceModel, sequences};
use prorl_stepwise::{Beams, Stepwise};

/// Of the items that a sequence model would recommend next, the one whose embedding is nearest to the target's; again
/// after every item, until the target is among the recommended.
pub struct GreedyToTarget {
    steps: Stepwise,
    next: NearestOfLikeliest,
}

impl Policy for GreedyToTarget {
    type Parameters = GreedyParameters;
    const CAPABILITIES: &'static [&'static str] = &["fixed"];

    fn create(parameters: GreedyParameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        let steps = Stepwise::new(setup, parameters.length, Beams::Apart)?;
        let model = SequenceModel::create(parameters.of_model(), setup)?;
        Ok(Self { steps, next: NearestOfLikeliest { model, top_k: parameters.top_k } })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.next.model.parameters()
    }

    fn set_training(&mut self, training: bool) {
        self.next.model.set_training(training);
    }

    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        self.steps.rollout(&mut self.next, prompts, decoding)
    }

    /// The model's cross-entropy of every next item in history, path and target.
    fn imitation_loss(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Loss> {
        self.next.model.loss(&sequences::of_paths(prompts, paths)?)
    }
}

prorl_sdk::register_policy!(
    "greedy-to-target",
    "Of a sequence model's recommendations the one nearest to the target, step by step.",
    GreedyToTarget
);
