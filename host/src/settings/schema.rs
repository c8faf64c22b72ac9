//! Everything a user can set; docs, defaults and ranges here are the reference.
//!
//! Counts are `i64`, as the sizes of tensors are.

mod components;
mod data;
mod evaluation;
mod processes;
mod training;

pub use components::{Component, EvaluatorSettings};
pub use data::DataSettings;
pub use evaluation::{Evaluation, EvaluationSplit};
pub use processes::ProcessSettings;
pub use training::{
    Imitation, ImitationExamples, ImitationSelection, LearningRateShape, PromptTargets, RewardTraining, Rl, RlSelection,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a run does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Every random stream is a function of it.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    pub seed: u64,
    /// Whether to repeat what published code does where the method departs from it.
    pub compat: Compat,
    /// Where tensors live: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is the first GPU if there is one.
    pub device: String,
    /// Threads of libtorch; 0 = all cores.
    #[schemars(range(min = 0))]
    pub threads: i64,
    /// Most prompts or sequences that a process computes gradients of at a time; those of a batch's parts add up, so
    /// memory is bounded and the result stays, but for dropout's random numbers. 0 = whole batches. Where memory runs
    /// out, it is halved.
    #[schemars(range(min = 0))]
    pub micro_batch: i64,
    /// How the processes of a run work together.
    pub processes: ProcessSettings,
    /// Folder for the folders of runs.
    pub runs: PathBuf,
    /// Folder for what later runs can use again: codes, reward models, imitation policies.
    pub cache: PathBuf,
    /// What is learnt from.
    pub data: DataSettings,
    /// Gives items codes.
    pub tokenizer: Component,
    /// Proposes paths.
    pub policy: Component,
    /// Simulates the users whom the policy learns from.
    pub reward: Component,
    /// Learns from judged paths.
    pub algo: Component,
    /// Simulates the users by whom the policy is judged.
    pub evaluator: EvaluatorSettings,
    /// How reward models and evaluators are trained.
    pub reward_training: RewardTraining,
    /// How the policy first imitates coherent paths.
    pub imitation: Imitation,
    /// How the policy then learns from rewards.
    pub rl: Rl,
    /// How the policy is measured.
    pub evaluation: Evaluation,
}

/// Whose behaviour is repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compat {
    /// The method's.
    #[default]
    None,
    /// That of ProRL's published code: `rl.top_k = 50`, `rl.left_padded_rewards = true` and
    /// `algo.rewards.synchronised = false`, unless they are set in the same place or above.
    Published,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            compat: Compat::None,
            device: "cpu".into(),
            threads: 0,
            micro_batch: 0,
            processes: ProcessSettings::default(),
            runs: "runs".into(),
            cache: "cache".into(),
            data: DataSettings::default(),
            tokenizer: Component::named("rq-kmeans"),
            policy: Component::named("t5"),
            reward: Component::named("sasrec"),
            algo: Component::named("prorl"),
            evaluator: EvaluatorSettings::default(),
            reward_training: RewardTraining::default(),
            imitation: Imitation::default(),
            rl: Rl::default(),
            evaluation: Evaluation::default(),
        }
    }
}

impl Settings {
    /// The seed of the RL stage.
    pub fn rl_seed(&self) -> u64 {
        self.seed.wrapping_add(self.rl.seed_offset)
    }

    /// The evaluators with their parameters; the one that is the reward model shares the reward model's.
    pub fn evaluators(&self) -> Vec<Component> {
        let component = |name: &String| {
            if *name == self.reward.name {
                return self.reward.clone();
            }
            let parameters = self.evaluator.parameters.get(name).cloned().unwrap_or_default();
            Component { name: name.clone(), parameters }
        };
        self.evaluator.names.iter().map(component).collect()
    }
}
