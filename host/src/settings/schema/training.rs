//! The three trainings: reward models, imitation, reinforcement learning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How reward models and evaluators are trained: AdamW on all positions of every sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardTraining {
    /// Most passes over the data.
    #[schemars(range(min = 0))]
    pub epochs: i64,
    /// Stop after so many evaluations without gain in validation MRR@10.
    #[schemars(range(min = 1))]
    pub patience: i64,
    /// AdamW's learning rate, constant.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// AdamW's weight decay.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Sequences in a batch.
    #[schemars(range(min = 1))]
    pub batch: i64,
    /// Largest norm of the gradient; 0 = unlimited.
    #[schemars(range(min = 0.0))]
    pub clip: f64,
    /// Longest sequence; of a longer one the latest items count.
    #[schemars(range(min = 2))]
    pub max_length: i64,
}

/// How the policy imitates coherent paths: AdamW with warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Imitation {
    /// What is imitated.
    pub examples: ImitationExamples,
    /// Share of examples that are read with another user's history. In the data a target always follows from its
    /// history, so that a policy need not heed it; who is led to a random target must.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub strangers: f64,
    /// Most passes over the data.
    #[schemars(range(min = 0))]
    pub epochs: i64,
    /// Examples in a batch.
    #[schemars(range(min = 1))]
    pub batch: i64,
    /// Learning rate after warm-up.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// AdamW's weight decay.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Steps in which the rate rises from 0.
    #[schemars(range(min = 0))]
    pub warmup_steps: i64,
    /// The rate after warm-up.
    pub schedule: LearningRateShape,
    /// Largest norm of the gradient; 0 = unlimited.
    #[schemars(range(min = 0.0))]
    pub clip: f64,
    /// Epochs from one validation to the next.
    #[schemars(range(min = 1))]
    pub validate_every: i64,
    /// Most prompts of a validation.
    #[schemars(range(min = 1))]
    pub validation_prompts: i64,
    /// Stop after so many validations without gain; 0 = never.
    #[schemars(range(min = 0))]
    pub patience: i64,
    /// Which epoch's policy is kept.
    pub select: ImitationSelection,
}

/// How the policy learns from rewards: AdamW with warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rl {
    /// Added to the run's seed in this stage alone: other rollouts after the same codes, reward model and imitation, to
    /// compare estimators of the gradient.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    pub seed_offset: u64,
    /// Passes over the prompts.
    #[schemars(range(min = 0))]
    pub epochs: i64,
    /// Steps in place of `epochs`; 0 = whole epochs.
    #[schemars(range(min = 0))]
    pub steps: i64,
    /// Prompts in a batch, `B`.
    #[schemars(range(min = 1))]
    pub prompts: i64,
    /// Let the reward model read sequences padded on the left, which it takes for padded on the right, as ProRL's
    /// published training code does; evaluations always read right.
    pub left_padded_rewards: bool,
    /// Paths sampled for a prompt, `G`.
    #[schemars(range(min = 1))]
    pub group: i64,
    /// Learning rate after warm-up.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// AdamW's weight decay.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Share of the steps in which the rate rises from 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// The rate after warm-up.
    pub schedule: LearningRateShape,
    /// Largest norm of the gradient; 0 = unlimited.
    #[schemars(range(min = 0.0))]
    pub clip: f64,
    /// Where a prompt's target comes from.
    pub prompt_targets: PromptTargets,
    /// `mixed`: the share of prompts with a random target.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub mixed_share: f64,
    /// Divides the logits before sampling; 1 samples the policy itself.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub temperature: f64,
    /// Only the so many likeliest tokens are sampled; 0 = all.
    #[schemars(range(min = 0))]
    pub top_k: i64,
    /// Only the likeliest tokens with this total probability are sampled; 1 = all.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub top_p: f64,
    /// Epochs from one validation to the next.
    #[schemars(range(min = 1))]
    pub validate_every: i64,
    /// Steps from one validation to the next; 0: at the ends of epochs, as `validate_every` says.
    #[schemars(range(min = 0))]
    pub validate_steps: i64,
    /// Most prompts of a validation.
    #[schemars(range(min = 1))]
    pub validation_prompts: i64,
    /// Steps from one checkpoint to the next.
    #[schemars(range(min = 1))]
    pub checkpoint_every: i64,
    /// Checkpoints kept, the latest ones.
    #[schemars(range(min = 1))]
    pub keep_checkpoints: i64,
    /// Which policy is evaluated in the end.
    pub select: RlSelection,
    /// `clickable`: share of the CTR before training that may be lost.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub click_loss: f64,
}

/// The learning rate after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LearningRateShape {
    /// Half a cosine down to 0 at the last step.
    #[default]
    Cosine,
    /// Stays.
    Constant,
}

/// What the policy imitates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImitationExamples {
    /// The training examples: maximal coherent runs after a whole history.
    #[default]
    Examples,
    /// Every coherent run inside the training sequences, from whichever item and after whatever history; for data
    /// with few examples.
    SubRuns,
}

/// Which epoch's imitation policy is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImitationSelection {
    /// The best of 10 beams by increase of interest, on validation prompts.
    #[default]
    #[serde(rename = "ioi_max@10")]
    Ioi,
    /// The lowest validation loss.
    #[serde(rename = "loss")]
    Loss,
}

/// Which policy of the reinforcement learning is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RlSelection {
    /// That of the last step.
    #[default]
    Last,
    /// That of the validation with the largest `ioi_max`.
    Best,
    /// That of the validation with the largest `ioi` among those whose `ctr` is at most `click_loss` below the policy's
    /// before training: the furthest that one gets while steps stay clickable.
    Clickable,
}

/// Where a training prompt's target comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptTargets {
    /// The item that the user went to, as in the paper.
    #[default]
    Own,
    /// Drawn from the catalogue, as in the test prompts.
    Random,
    /// `mixed_share` of the prompts random, the others own.
    Mixed,
}

impl Default for RewardTraining {
    fn default() -> Self {
        Self {
            epochs: 200,
            patience: 10,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            batch: 256,
            clip: 0.0,
            max_length: 50,
        }
    }
}

impl Default for Imitation {
    fn default() -> Self {
        Self {
            examples: ImitationExamples::Examples,
            strangers: 0.0,
            epochs: 200,
            batch: 1024,
            learning_rate: 5e-3,
            weight_decay: 0.05,
            warmup_steps: 10_000,
            schedule: LearningRateShape::Cosine,
            clip: 1.0,
            validate_every: 1,
            validation_prompts: 512,
            patience: 0,
            select: ImitationSelection::Ioi,
        }
    }
}

impl Default for Rl {
    fn default() -> Self {
        Self {
            seed_offset: 0,
            epochs: 50,
            steps: 0,
            prompts: 128,
            left_padded_rewards: false,
            group: 16,
            learning_rate: 1e-4,
            weight_decay: 0.0,
            warmup: 0.05,
            schedule: LearningRateShape::Constant,
            clip: 1.0,
            prompt_targets: PromptTargets::Own,
            mixed_share: 0.5,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            validate_every: 1,
            validate_steps: 0,
            validation_prompts: 512,
            checkpoint_every: 50,
            keep_checkpoints: 2,
            select: RlSelection::Last,
            click_loss: 0.05,
        }
    }
}
