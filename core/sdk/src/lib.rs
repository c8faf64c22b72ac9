//! What an author of a plugin writes against.
//!
//! Four plain traits: [`Tokenizer`](tokenizer::Tokenizer), [`RewardModel`](reward_model::RewardModel),
//! [`Policy`](policy::Policy), [`Algorithm`](algorithm::Algorithm); a `register_…!` line beside each
//! implementation, and `export_plugin!()` once a library. Building blocks that every algorithm needs
//! stand beside them. The crate does no input or output.

pub mod actions;
pub mod algorithm;
pub mod baselines;
pub mod capabilities;
pub mod clipping;
pub mod critic;
pub mod crossing;
pub mod diagnostics;
pub mod dropout;
pub mod error;
pub mod export;
pub mod foreign;
pub mod kl;
pub mod loss;
pub mod masked;
pub mod metrics;
pub mod moments;
pub mod parameters;
pub mod path_baseline;
pub mod path_details;
pub mod penalty;
pub mod policy;
pub mod prompts;
pub mod returns;
pub mod reward_model;
pub mod rewards;
pub mod setup;
pub mod step_rewards;
pub mod tokenizer;

pub use inventory;
pub use prorl_abi as abi;

/// What most plugins need.
pub mod prelude {
    pub use crate::algorithm::{
        Advantages, Algorithm, Batch, Collective, LogProbs, Moved, Progress, Requirements, ScoredPaths,
    };
    pub use crate::error::{Error, Result};
    pub use crate::kl::KlEstimator;
    pub use crate::loss::Loss;
    pub use crate::metrics::MetricDeclaration;
    pub use crate::moments::Moments;
    pub use crate::parameters::{Parameters, in_range};
    pub use crate::path_baseline::{Baseline, PathBaseline};
    pub use crate::path_details::PathDetails;
    pub use crate::penalty::{Penalty, PenaltyParameters};
    pub use crate::policy::{ActionLogProbs, Decoding, Policy, Query, Rollout};
    pub use crate::prompts::{Paths, Prompts};
    pub use crate::reward_model::{PathScores, RewardModel, Sequences};
    pub use crate::rewards::ObjectiveWeights;
    pub use crate::setup::Setup;
    pub use crate::step_rewards::{RewardParameters, StepRewards};
    pub use crate::tokenizer::{Catalogue, CodeTable, Tokenizer};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use tch::{Device, Kind, Tensor};
}
