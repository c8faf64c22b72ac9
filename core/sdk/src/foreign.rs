//! The caller's view of components that live in plugins: typed calls over the frozen object traits.
//!
//! The host calls plugins through it, and so does the conformance kit, whether the component lives in a library opened
//! with dlopen or in the test's own binary.

use crate::algorithm::{Advantages, Batch, Collective, Decision, LogProbs, Moved, Progress, Requirements, ScoredPaths};
use crate::crossing::Crossing;
use crate::error::Error;
use crate::export::adapters::{ItemSequences, NamedTensors, RewardModelAdapter};
use crate::loss::Loss;
use crate::path_details::PathDetails;
use crate::policy::{ActionLogProbs, Decoding, Query, Rollout};
use crate::prompts::{Paths, Prompts};
use crate::reward_model::{PathScores, RewardModel, Sequences};
use crate::setup::Setup;
use crate::tokenizer::{Catalogue, CodeTable};
use prorl_abi::fault::Fault;
use prorl_abi::module::PluginModuleRef;
use prorl_abi::object::{
    AlgorithmBox, Collective as CollectiveObject, Collective_TO, OPAQUE, Outcome, PolicyBox, RewardModelBox,
    RewardModelObject_TO, TokenizerBox,
};
use prorl_abi::record::Record;
use prorl_abi::tensor::TensorHandle;
use prorl_abi::{RBox, RResult};
use serde_json::Value;
use tch::Tensor;

/// The result of a call: what the plugin gave, or its fault.
pub type Result<T> = std::result::Result<T, Fault>;

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
    T::from_record(record).map_err(Fault::from)
}

fn tensors(outcome: Outcome<Record>) -> Result<Vec<(String, Tensor)>> {
    Ok(received::<NamedTensors>(outcome)?.tensors)
}

impl ForeignTokenizer {
    /// Makes the tokenizer called `name` of a library.
    ///
    /// # Errors
    /// The library has none of that name, or it refuses its parameters or the set-up.
    pub fn make(module: PluginModuleRef, name: &str, parameters: &Value, setup: &Setup) -> Result<Self> {
        let json = parameters.to_string();
        let object = module.tokenizer()(name.into(), json.as_str().into(), setup.to_record()).into_result()?;
        Ok(Self { object })
    }

    /// See [`crate::tokenizer::Tokenizer::tokenize`].
    ///
    /// # Errors
    /// What the plugin reports.
    pub fn tokenize(&mut self, catalogue: &Catalogue) -> Result<CodeTable> {
        received(self.object.tokenize(catalogue.to_record()))
    }
}

impl ForeignRewardModel {
    /// Makes the reward model called `name` of a library.
    ///
    /// # Errors
    /// The library has none of that name, or it refuses its parameters or the set-up.
    pub fn make(module: PluginModuleRef, name: &str, parameters: &Value, setup: &Setup) -> Result<Self> {
        let json = parameters.to_string();
        let object = module.reward_model()(name.into(), json.as_str().into(), setup.to_record()).into_result()?;
        Ok(Self { object })
    }

    /// A model of the host's own, called `name` in faults, in the place of a plugin's.
    pub fn of_host<M: RewardModel + 'static>(name: &'static str, model: M) -> Self {
        let boxed = RBox::new(RewardModelAdapter::new(name, model));
        Self { object: RewardModelObject_TO::from_ptr(boxed, OPAQUE) }
    }

    /// See [`crate::reward_model::RewardModel::parameters`].
    ///
    /// # Errors
    /// What the plugin reports; so for all methods.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.parameters())
    }

    /// Switches dropout on or off.
    pub fn set_training(&mut self, training: bool) -> Result<()> {
        self.object.set_training(training).into_result()
    }

    /// See [`crate::reward_model::RewardModel::score_paths`].
    pub fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        received(self.object.score_paths(prompts.to_record(), paths.to_record()))
    }

    /// See [`crate::reward_model::RewardModel::next_item_scores`].
    pub fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor> {
        Ok(self.object.next_item_scores(items.shallow_clone().into()).into_result()?.into())
    }

    /// See [`crate::reward_model::RewardModel::loss`].
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
        let (_, states) = states.pop().ok_or_else(|| Fault::from(nothing("prefix_states")))?;
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
    /// Makes the policy called `name` of a library.
    ///
    /// # Errors
    /// The library has none of that name, or it refuses its parameters or the set-up.
    pub fn make(module: PluginModuleRef, name: &str, parameters: &Value, setup: &Setup) -> Result<Self> {
        let json = parameters.to_string();
        let object = module.policy()(name.into(), json.as_str().into(), setup.to_record()).into_result()?;
        Ok(Self { object })
    }

    /// See [`crate::policy::Policy::parameters`].
    ///
    /// # Errors
    /// What the plugin reports; so for all methods.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.parameters())
    }

    /// Switches dropout on or off.
    pub fn set_training(&mut self, training: bool) -> Result<()> {
        self.object.set_training(training).into_result()
    }

    /// See [`crate::policy::Policy::rollout`].
    pub fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        received(self.object.rollout(prompts.to_record(), decoding.to_record()))
    }

    /// See [`crate::policy::Policy::log_probs`].
    pub fn log_probs(&mut self, prompts: &Prompts, paths: &Paths, query: &Query) -> Result<ActionLogProbs> {
        received(self.object.log_probs(prompts.to_record(), paths.to_record(), query.to_record()))
    }

    /// See [`crate::policy::Policy::imitation_loss`].
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
        let sum = self.0.sum(&tensor.into()).map(TensorHandle::from).map_err(Fault::from);
        RResult::from(sum)
    }
}

impl ForeignAlgorithm {
    /// Makes the algorithm called `name` of a library.
    ///
    /// # Errors
    /// The library has none of that name, or it refuses its parameters or the set-up.
    pub fn make(module: PluginModuleRef, name: &str, parameters: &Value, setup: &Setup) -> Result<Self> {
        let json = parameters.to_string();
        let object = module.algorithm()(name.into(), json.as_str().into(), setup.to_record()).into_result()?;
        Ok(Self { object })
    }

    /// See [`crate::algorithm::Algorithm::requirements`].
    ///
    /// # Errors
    /// What the plugin reports; so for all methods.
    pub fn requirements(&self) -> Result<Requirements> {
        received(self.object.requirements())
    }

    /// See [`crate::algorithm::Algorithm::parameters`].
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.parameters())
    }

    /// See [`crate::algorithm::Algorithm::prepare`].
    pub fn prepare<C: Collective + Send + 'static>(
        &mut self,
        paths: &ScoredPaths,
        progress: &Progress,
        collective: C,
    ) -> Result<Advantages> {
        let lent = Collective_TO::from_ptr(RBox::new(Lent(collective)), OPAQUE);
        received(self.object.prepare(paths.to_record(), progress.to_record(), lent))
    }

    /// See [`crate::algorithm::Algorithm::loss`].
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

    /// Capability `early_stop`; see [`crate::algorithm::Algorithm::goes_on`].
    pub fn goes_on(&mut self, moved: &Moved) -> Result<bool> {
        Ok(received::<Decision>(self.object.invoke("early_stop".into(), moved.to_record()))?.goes_on)
    }

    /// See [`crate::algorithm::Algorithm::state`].
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        tensors(self.object.state())
    }

    /// See [`crate::algorithm::Algorithm::load_state`].
    pub fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.object.load_state(NamedTensors { tensors: state }.to_record()).into_result()
    }
}
