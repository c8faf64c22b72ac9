//! IRN behind the SDK's `Policy`.

use crate::network::Network;
use crate::parameters::IrnParameters;
use prorl_sdk::prelude::*;
use prorl_seqrec::{cross_entropy, sequences};
use prorl_stepwise::{Beams, Stepwise};

/// IRN, the network of "Influential Recommender System" (Zhu et al., ICDE 2023, arXiv 2211.10002): a Transformer decoder
/// that attends to the objective as far as the user can be influenced.
pub struct Irn {
    steps: Stepwise,
    network: Network,
    training: bool,
}

impl Irn {
    /// History, path and target of every path, and the path's objective. // [B * G, T], [B * G]
    fn read(prompts: &Prompts, paths: &Paths) -> Result<(Sequences, Tensor)> {
        let sequences = sequences::of_paths(prompts, paths)?;
        let (_, group, _) = paths.sizes();
        Ok((sequences, prompts.target.repeat_interleave_self_int(group, 0, None)))
    }
}

impl Policy for Irn {
    type Parameters = IrnParameters;
    const CAPABILITIES: &'static [&'static str] = &["fixed", "inspect"];

    fn create(parameters: IrnParameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        in_range("transformer.max_length", parameters.transformer.max_length, setup.history + setup.path..)?;
        let steps = Stepwise::new(setup, parameters.length, Beams::Joint)?;
        let network = Network::new(&parameters, setup.items, setup.device()?);
        Ok(Self { steps, network, training: false })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.network.named()
    }

    fn set_training(&mut self, training: bool) {
        self.training = training;
    }

    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        self.steps.rollout(&mut self.network, prompts, decoding)
    }

    /// Cross-entropy of every next item in history, path and target, the target being the objective.
    fn imitation_loss(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Loss> {
        let (sequences, objective) = Self::read(prompts, paths)?;
        let states = self.network.states(&sequences.items, &objective, self.training).states; // [N, T + 1, D]
        let states = states.slice(1, 1, None, 1).flatten(0, 1); // [N * T, D]
        let labels = sequences.labels.flatten(0, 1); // [N * T]
        let labelled = labels.nonzero().squeeze_dim(-1); // [M]
        let states = states.index_select(0, &labelled); // [M, D]
        let labels = labels.index_select(0, &labelled); // [M]
        let loss = cross_entropy::mean(&states, &self.network.item_embedding, &labels);
        Ok(Loss::new(loss).mean_of(labelled.size()[0]))
    }

    /// `states` `[B * G, T + 1, D]` from no item on, and `impressionability` `[B * G, T]`.
    fn inspect(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Vec<(String, Tensor)>> {
        let (sequences, objective) = Self::read(prompts, paths)?;
        let found = self.network.states(&sequences.items, &objective, false);
        Ok(vec![("states".into(), found.states), ("impressionability".into(), found.impressionability)])
    }
}

prorl_sdk::register_policy!(
    "irn",
    "A Transformer that attends to its objective as far as the user can be influenced (IRN).",
    Irn
);
