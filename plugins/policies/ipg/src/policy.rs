//! IPG behind the SDK's `Policy`.

use crate::guide::Guide;
use crate::parameters::IpgParameters;
use prorl_sdk::prelude::*;
use prorl_seqrec::{SequenceModel, sequences};
use prorl_stepwise::{Beams, Stepwise};

/// IPG, "Proactive Recommendation with Iterative Preference Guidance" (Bi et al., 2024, arXiv 2403.07571): at every step
/// the item with the largest interaction probability times guiding value.
pub struct Ipg {
    steps: Stepwise,
    next: Guide,
}

impl Policy for Ipg {
    type Parameters = IpgParameters;
    const CAPABILITIES: &'static [&'static str] = &["fixed"];

    fn create(parameters: IpgParameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        let steps = Stepwise::new(setup, parameters.length, Beams::Apart)?;
        let model = SequenceModel::create(parameters.of_model(), setup)?;
        Ok(Self { steps, next: Guide { model, gamma: parameters.gamma } })
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

prorl_sdk::register_policy!("ipg", "Interaction probability times guiding value, step by step (IPG).", Ipg);
