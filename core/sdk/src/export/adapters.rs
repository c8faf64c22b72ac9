//! From the plain traits to the frozen object traits.

use crate::algorithm::{Algorithm, Batch, Collective, Decision, LogProbs, Moved, Progress, ScoredPaths};
use crate::crossing::Crossing;
use crate::error::{Error, Result};
use crate::export::guard::{Held, guarded};
use crate::policy::{ActionLogProbs, Decoding, Policy, Query};
use crate::prompts::{Paths, Prompts};
use crate::reward_model::{RewardModel, Sequences};
use crate::tokenizer::{Catalogue, Tokenizer};
use prorl_abi::object::{AlgorithmObject, CollectiveBox, Outcome, PolicyObject, RewardModelObject, TokenizerObject};
use prorl_abi::record::Record;
use prorl_abi::tensor::TensorHandle;
use prorl_abi::{ROption, RStr};
use tch::Tensor;

crate::crossing! {
    /// Tensors by name: weights, saved state, inner states.
    pub struct NamedTensors {
        /// Name and tensor.
        pub tensors: Vec<(String, Tensor)>,
    }

    /// Argument of capabilities that look at sequences.
    pub struct ItemSequences {
        /// Right-padded with 0. // [N, T] int64
        pub items: Tensor,
    }
}

macro_rules! adapter {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        pub struct $name<T> {
            component: &'static str,
            inner: Held<T>,
        }

        impl<T> $name<T> {
            /// Adapts `inner`, which is called `component` in faults.
            pub fn new(component: &'static str, inner: T) -> Self {
                Self { component, inner: Held::new(component, inner) }
            }

            #[allow(dead_code)] // a tokenizer has nothing to be read
            fn reading<R>(&self, call: &str, body: impl FnOnce(&T) -> Result<R>) -> Outcome<R> {
                guarded(self.component, call, || body(self.inner.get()?))
            }

            fn calling<R>(&mut self, call: &str, body: impl FnOnce(&mut T) -> Result<R>) -> Outcome<R> {
                let component = self.component;
                guarded(component, call, || body(self.inner.get_mut()?))
            }
        }
    };
}

adapter!(
    /// A tokenizer on the plugin's side of the boundary.
    TokenizerAdapter
);
adapter!(
    /// A reward model on the plugin's side of the boundary.
    RewardModelAdapter
);
adapter!(
    /// A policy on the plugin's side of the boundary.
    PolicyAdapter
);
adapter!(
    /// An algorithm on the plugin's side of the boundary.
    AlgorithmAdapter
);

fn named(tensors: Vec<(String, Tensor)>) -> Record {
    NamedTensors { tensors }.to_record()
}

fn lacking(capability: &str) -> Error {
    Error::Unsupported(format!("it has no capability `{capability}`"))
}

impl<T: Tokenizer> TokenizerObject for TokenizerAdapter<T> {
    fn tokenize(&mut self, catalogue: Record) -> Outcome<Record> {
        self.calling("tokenize", |it| Ok(it.tokenize(&Catalogue::from_record(catalogue)?)?.to_record()))
    }

    fn invoke(&mut self, capability: RStr<'_>, _input: Record) -> Outcome<Record> {
        self.calling(&capability, |_| Err(lacking(&capability)))
    }
}

impl<T: RewardModel> RewardModelObject for RewardModelAdapter<T> {
    fn parameters(&self) -> Outcome<Record> {
        self.reading("parameters", |it| Ok(named(it.parameters())))
    }

    fn set_training(&mut self, training: bool) -> Outcome<()> {
        self.calling("set_training", |it| {
            it.set_training(training);
            Ok(())
        })
    }

    fn score_paths(&mut self, prompts: Record, paths: Record) -> Outcome<Record> {
        self.calling("score_paths", |it| {
            let scores = it.score_paths(&Prompts::from_record(prompts)?, &Paths::from_record(paths)?)?;
            Ok(scores.to_record())
        })
    }

    fn next_item_scores(&mut self, sequences: TensorHandle) -> Outcome<TensorHandle> {
        self.calling("next_item_scores", |it| Ok(it.next_item_scores(&sequences.into())?.into()))
    }

    fn loss(&mut self, sequences: Record) -> Outcome<Record> {
        self.calling("loss", |it| Ok(it.loss(&Sequences::from_record(sequences)?)?.to_record()))
    }

    fn invoke(&mut self, capability: RStr<'_>, mut input: Record) -> Outcome<Record> {
        self.calling(&capability, |it| match capability.as_str() {
            "left_padded_scores" if T::CAPABILITIES.contains(&"left_padded_scores") => {
                let prompts = Prompts { history: input.take("history")?, target: input.take("target")? };
                Ok(it.left_padded_scores(&prompts, &Paths::from_record(input)?)?.to_record())
            }
            "path_details" if T::CAPABILITIES.contains(&"path_details") => {
                let prompts = Prompts { history: input.take("history")?, target: input.take("target")? };
                Ok(it.path_details(&prompts, &Paths::from_record(input)?)?.to_record())
            }
            "prefix_states" if T::CAPABILITIES.contains(&"prefix_states") => {
                let states = it.prefix_states(&ItemSequences::from_record(input)?.items)?;
                Ok(named(vec![("states".into(), states)]))
            }
            other => Err(lacking(other)),
        })
    }
}

impl<T: Policy> PolicyObject for PolicyAdapter<T> {
    fn parameters(&self) -> Outcome<Record> {
        self.reading("parameters", |it| Ok(named(it.parameters())))
    }

    fn set_training(&mut self, training: bool) -> Outcome<()> {
        self.calling("set_training", |it| {
            it.set_training(training);
            Ok(())
        })
    }

    fn rollout(&mut self, prompts: Record, decoding: Record) -> Outcome<Record> {
        self.calling("rollout", |it| {
            let rollout = it.rollout(&Prompts::from_record(prompts)?, &Decoding::from_record(decoding)?)?;
            Ok(rollout.to_record())
        })
    }

    fn log_probs(&mut self, prompts: Record, paths: Record, query: Record) -> Outcome<Record> {
        self.calling("log_probs", |it| {
            let (prompts, paths) = (Prompts::from_record(prompts)?, Paths::from_record(paths)?);
            Ok(it.log_probs(&prompts, &paths, &Query::from_record(query)?)?.to_record())
        })
    }

    fn imitation_loss(&mut self, prompts: Record, paths: Record) -> Outcome<Record> {
        self.calling("imitation_loss", |it| {
            let loss = it.imitation_loss(&Prompts::from_record(prompts)?, &Paths::from_record(paths)?)?;
            Ok(loss.to_record())
        })
    }

    fn invoke(&mut self, capability: RStr<'_>, mut input: Record) -> Outcome<Record> {
        self.calling(&capability, |it| match capability.as_str() {
            "inspect" if T::CAPABILITIES.contains(&"inspect") => {
                let prompts = Prompts { history: input.take("history")?, target: input.take("target")? };
                Ok(named(it.inspect(&prompts, &Paths::from_record(input)?)?))
            }
            other => Err(lacking(other)),
        })
    }
}

/// The host's collective, as an algorithm sees it.
struct HostCollective(CollectiveBox);

impl Collective for HostCollective {
    fn processes(&self) -> u64 {
        self.0.processes()
    }

    fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        let sum = self.0.sum(tensor.shallow_clone().into()).into_result()?;
        Ok(sum.into())
    }
}

impl<T: Algorithm> AlgorithmObject for AlgorithmAdapter<T> {
    fn requirements(&self) -> Outcome<Record> {
        self.reading("requirements", |it| Ok(it.requirements().to_record()))
    }

    fn parameters(&self) -> Outcome<Record> {
        self.reading("parameters", |it| Ok(named(it.parameters())))
    }

    fn prepare(&mut self, paths: Record, progress: Record, collective: CollectiveBox) -> Outcome<Record> {
        self.calling("prepare", |it| {
            let (paths, progress) = (ScoredPaths::from_record(paths)?, Progress::from_record(progress)?);
            Ok(it.prepare(&paths, &progress, &HostCollective(collective))?.to_record())
        })
    }

    fn loss(
        &mut self,
        current: Record,
        reference: ROption<Record>,
        behaviour: ROption<Record>,
        batch: Record,
        progress: Record,
    ) -> Outcome<Record> {
        self.calling("loss", |it| {
            let optional = |record: ROption<Record>| record.into_option().map(ActionLogProbs::from_record).transpose();
            let log_probs = LogProbs {
                current: ActionLogProbs::from_record(current)?,
                reference: optional(reference)?,
                behaviour: optional(behaviour)?,
            };
            let (batch, progress) = (Batch::from_record(batch)?, Progress::from_record(progress)?);
            Ok(it.loss(&log_probs, &batch, &progress)?.to_record())
        })
    }

    fn state(&self) -> Outcome<Record> {
        self.reading("state", |it| Ok(named(it.state())))
    }

    fn load_state(&mut self, state: Record) -> Outcome<()> {
        self.calling("load_state", |it| it.load_state(NamedTensors::from_record(state)?.tensors))
    }

    fn invoke(&mut self, capability: RStr<'_>, input: Record) -> Outcome<Record> {
        self.calling(&capability, |it| match capability.as_str() {
            "early_stop" if T::CAPABILITIES.contains(&"early_stop") => {
                let goes_on = it.goes_on(&Moved::from_record(input)?)?;
                Ok(Decision { goes_on }.to_record())
            }
            other => Err(lacking(other)),
        })
    }
}
