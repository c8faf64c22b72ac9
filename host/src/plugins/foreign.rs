//! The host's view of components that live in plugins: typed calls over the frozen object traits.

use super::Result;
use prorl_abi::object::{
    AlgorithmBox, Collective as CollectiveObject, Collective_TO, OPAQUE, Outcome, PolicyBox, RewardModelBox,
    RewardModelObject_TO, TokenizerBox,
};
use prorl_abi::record::Record;
use prorl_abi::tensor::TensorHandle;
use prorl_abi::{RBox, RResult};
use prorl_sdk::algorithm::{Advantages, Batch, Collective, LogProbs, Progress, Requirements, ScoredPaths};
use prorl_sdk::crossing::Crossing;
use prorl_sdk::error::Error;
use prorl_sdk::export::adapters::{ItemSequences, NamedTensors, RewardModelAdapter};
use prorl_sdk::loss::Loss;
use prorl_sdk::path_details::PathDetails;
use prorl_sdk::policy::{ActionLogProbs, Decoding, Query, Rollout};
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::{PathScores, RewardModel, Sequences};
use prorl_sdk::tokenizer::{Catalogue, CodeTable};
use tch::Tensor;

/// A tokenizer of a plugin.
pub struct ForeignTokenizer {
    object: TokenizerBox,
}

/// A reward model of a plugin.
pub struct ForeignRewardModel {
    object: RewardModelBox,
}

/// A policy of a plugin.
pub struct ForeignPolicy {
    object: PolicyBox,
}

/// An algorithm of a plugin.
pub struct ForeignAlgorithm {
    object: AlgorithmBox,
}

fn received<T: Crossing>(outcome: Outcome<Record>) -> Result<T> {
    let record = outcome.into_result()?;
    Ok(T::from_record(record).map_err(prorl_abi::fault::Fault::from)?)
}

fn tensors(outcome: Outcome<Record>) -> Result<Vec<(String, Tensor)>> {
    Ok(received::<NamedTensors>(outcome)?.tensors)
}

impl ForeignTokenizer {
    /// The host's view of `object`.
    pub fn new(object: TokenizerBox) -> Self {
        Self { object }
    }

    /// See [`prorl_sdk::tokenizer::Tokenizer::tokenize`].
    ///
    /// # Errors
    /// What the plugin reports.
    pub fn tokenize(&mut self, catalogue: &Catalogue) -> Result<CodeTable> {
        received(self.object.tokenize(catalogue.to_record()))
    }
}

impl ForeignRewardModel {
    /// The host's view of `object`.
    pub fn new(object: RewardModelBox) -> Self {
        Self { object }
    }

    /// A model of the host's own, called `name` in faults, in the place of a plugin's.
    pub fn of_host<M: RewardModel + 'static>(name: &'static str, model: M) -> Self {
        let boxed = RBox::new(RewardModelAdapter::new(name, model));
        Self { object: RewardModelObject_TO::from_ptr(boxed, OPAQUE) }
    }

    /// See [`prorl_sdk::reward_model::RewardModel::parameters`].
    ///
    /// # Errors
    /// What the plugin reports; so for all methods.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.parameters())
    }

    /// Switches dropout on or off.
    pub fn set_training(&mut self, training: bool) -> Result<()> {
        Ok(self.object.set_training(training).into_result()?)
    }

    /// See [`prorl_sdk::reward_model::RewardModel::score_paths`].
    pub fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        received(self.object.score_paths(prompts.to_record(), paths.to_record()))
    }

    /// See [`prorl_sdk::reward_model::RewardModel::next_item_scores`].
    pub fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor> {
        Ok(self.object.next_item_scores(items.shallow_clone().into()).into_result()?.into())
    }

    /// See [`prorl_sdk::reward_model::RewardModel::loss`].
    pub fn loss(&mut self, sequences: &Sequences) -> Result<Loss> {
        received(self.object.loss(sequences.to_record()))
    }

    /// Capability `left_padded_scores`.
    pub fn left_padded_scores(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        received(self.object.invoke("left_padded_scores".into(), prompts_and_paths(prompts, paths)))
    }

    /// Capability `path_details`.
    pub fn path_details(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathDetails> {
        received(self.object.invoke("path_details".into(), prompts_and_paths(prompts, paths)))
    }

    /// Capability `prefix_states`.
    pub fn prefix_states(&mut self, items: &Tensor) -> Result<Tensor> {
        let input = ItemSequences { items: items.shallow_clone() }.to_record();
        let mut states = tensors(self.object.invoke("prefix_states".into(), input))?;
        let (_, states) = states.pop().ok_or_else(|| prorl_abi::fault::Fault::from(nothing("prefix_states")))?;
        Ok(states)
    }
}

/// Argument of capabilities that look at paths.
fn prompts_and_paths(prompts: &Prompts, paths: &Paths) -> Record {
    let mut input = paths.to_record();
    input.put("history", &prompts.history);
    input.put("target", &prompts.target);
    input
}

fn nothing(call: &str) -> Error {
    Error::Boundary(format!("`{call}` returned nothing"))
}

impl ForeignPolicy {
    /// The host's view of `object`.
    pub fn new(object: PolicyBox) -> Self {
        Self { object }
    }

    /// See [`prorl_sdk::policy::Policy::parameters`].
    ///
    /// # Errors
    /// What the plugin reports; so for all methods.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.parameters())
    }

    /// Switches dropout on or off.
    pub fn set_training(&mut self, training: bool) -> Result<()> {
        Ok(self.object.set_training(training).into_result()?)
    }

    /// See [`prorl_sdk::policy::Policy::rollout`].
    pub fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        received(self.object.rollout(prompts.to_record(), decoding.to_record()))
    }

    /// See [`prorl_sdk::policy::Policy::log_probs`].
    pub fn log_probs(&mut self, prompts: &Prompts, paths: &Paths, query: &Query) -> Result<ActionLogProbs> {
        received(self.object.log_probs(prompts.to_record(), paths.to_record(), query.to_record()))
    }

    /// See [`prorl_sdk::policy::Policy::imitation_loss`].
    pub fn imitation_loss(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Loss> {
        received(self.object.imitation_loss(prompts.to_record(), paths.to_record()))
    }

    /// Capability `inspect`.
    pub fn inspect(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.invoke("inspect".into(), prompts_and_paths(prompts, paths)))
    }
}

/// A collective of the host on its way to a plugin. It is cheap to clone into every call.
struct Lent<C>(C);

impl<C: Collective + Send> CollectiveObject for Lent<C> {
    fn processes(&self) -> u64 {
        self.0.processes()
    }

    fn sum(&self, tensor: TensorHandle) -> Outcome<TensorHandle> {
        let sum = self.0.sum(&tensor.into()).map(TensorHandle::from).map_err(prorl_abi::fault::Fault::from);
        RResult::from(sum)
    }
}

impl ForeignAlgorithm {
    /// The host's view of `object`.
    pub fn new(object: AlgorithmBox) -> Self {
        Self { object }
    }

    /// See [`prorl_sdk::algorithm::Algorithm::requirements`].
    ///
    /// # Errors
    /// What the plugin reports; so for all methods.
    pub fn requirements(&self) -> Result<Requirements> {
        received(self.object.requirements())
    }

    /// See [`prorl_sdk::algorithm::Algorithm::parameters`].
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.parameters())
    }

    /// See [`prorl_sdk::algorithm::Algorithm::prepare`].
    pub fn prepare<C: Collective + Send + 'static>(
        &mut self,
        paths: &ScoredPaths,
        progress: &Progress,
        collective: C,
    ) -> Result<Advantages> {
        let lent = Collective_TO::from_ptr(RBox::new(Lent(collective)), OPAQUE);
        received(self.object.prepare(paths.to_record(), progress.to_record(), lent))
    }

    /// See [`prorl_sdk::algorithm::Algorithm::loss`].
    pub fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, progress: &Progress) -> Result<Loss> {
        let optional = |it: &Option<ActionLogProbs>| it.as_ref().map(Crossing::to_record).into();
        received(self.object.loss(
            log_probs.current.to_record(),
            optional(&log_probs.reference),
            optional(&log_probs.behaviour),
            batch.to_record(),
            progress.to_record(),
        ))
    }

    /// See [`prorl_sdk::algorithm::Algorithm::state`].
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.state())
    }

    /// See [`prorl_sdk::algorithm::Algorithm::load_state`].
    pub fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        Ok(self.object.load_state(NamedTensors { tensors: state }.to_record()).into_result()?)
    }
}
