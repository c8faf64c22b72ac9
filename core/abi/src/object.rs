//! The frozen object traits: one for each kind of plugin.
//!
//! A published trait never gains a method (abi_stable refuses older plugins then, even where the new
//! method has a default body). What is new or optional is a capability: a name passed to `invoke`,
//! listed in the component's description. A break is a new trait beside the old one.

// The code that `sabi_trait` generates is unsafe; none is written here.
#![allow(unsafe_code, non_local_definitions)]

use crate::fault::Fault;
use crate::record::Record;
use crate::tensor::TensorHandle;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RBox, ROption, RResult, RStr};

/// The result of a call across the boundary.
pub type Outcome<T> = RResult<T, Fault>;

/// Sums over all processes of a run; the host's answer to a plugin's question.
#[sabi_trait]
pub trait Collective: Send {
    /// How many processes take part.
    fn processes(&self) -> u64;
    /// The sum of `tensor` over all processes.
    #[sabi(last_prefix_field)]
    fn sum(&self, tensor: TensorHandle) -> Outcome<TensorHandle>;
}

/// Receives a plugin's log records.
#[sabi_trait]
pub trait LogSink: Send + Sync {
    /// Levels are 1 (error) to 5 (trace).
    #[sabi(last_prefix_field)]
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>);
}

/// Gives items their codes.
#[sabi_trait]
pub trait TokenizerObject: Send {
    fn tokenize(&mut self, catalogue: Record) -> Outcome<Record>;
    #[sabi(last_prefix_field)]
    fn invoke(&mut self, capability: RStr<'_>, input: Record) -> Outcome<Record>;
}

/// Simulates how a user reacts to a path.
#[sabi_trait]
pub trait RewardModelObject: Send {
    fn parameters(&self) -> Outcome<Record>;
    fn set_training(&mut self, training: bool) -> Outcome<()>;
    fn score_paths(&mut self, prompts: Record, paths: Record) -> Outcome<Record>;
    fn next_item_scores(&mut self, sequences: TensorHandle) -> Outcome<TensorHandle>;
    fn loss(&mut self, sequences: Record) -> Outcome<Record>;
    #[sabi(last_prefix_field)]
    fn invoke(&mut self, capability: RStr<'_>, input: Record) -> Outcome<Record>;
}

/// Proposes paths.
#[sabi_trait]
pub trait PolicyObject: Send {
    fn parameters(&self) -> Outcome<Record>;
    fn set_training(&mut self, training: bool) -> Outcome<()>;
    fn rollout(&mut self, prompts: Record, decoding: Record) -> Outcome<Record>;
    fn log_probs(&mut self, prompts: Record, paths: Record, query: Record) -> Outcome<Record>;
    fn imitation_loss(&mut self, prompts: Record, paths: Record) -> Outcome<Record>;
    #[sabi(last_prefix_field)]
    fn invoke(&mut self, capability: RStr<'_>, input: Record) -> Outcome<Record>;
}

/// Says what should become likelier.
#[sabi_trait]
pub trait AlgorithmObject: Send {
    fn requirements(&self) -> Outcome<Record>;
    fn parameters(&self) -> Outcome<Record>;
    fn prepare(
        &mut self,
        paths: Record,
        progress: Record,
        collective: Collective_TO<'static, RBox<()>>,
    ) -> Outcome<Record>;
    fn loss(
        &mut self,
        current: Record,
        reference: ROption<Record>,
        behaviour: ROption<Record>,
        batch: Record,
        progress: Record,
    ) -> Outcome<Record>;
    fn state(&self) -> Outcome<Record>;
    fn load_state(&mut self, state: Record) -> Outcome<()>;
    #[sabi(last_prefix_field)]
    fn invoke(&mut self, capability: RStr<'_>, input: Record) -> Outcome<Record>;
}

/// An owned tokenizer.
pub type TokenizerBox = TokenizerObject_TO<'static, RBox<()>>;
/// An owned reward model.
pub type RewardModelBox = RewardModelObject_TO<'static, RBox<()>>;
/// An owned policy.
pub type PolicyBox = PolicyObject_TO<'static, RBox<()>>;
/// An owned algorithm.
pub type AlgorithmBox = AlgorithmObject_TO<'static, RBox<()>>;
/// An owned collective.
pub type CollectiveBox = Collective_TO<'static, RBox<()>>;
/// An owned log sink.
pub type LogSinkBox = LogSink_TO<'static, RBox<()>>;

/// For making an owned object: it is never cast back to its concrete type.
pub const OPAQUE: abi_stable::sabi_trait::TD_Opaque = abi_stable::sabi_trait::TD_Opaque;
