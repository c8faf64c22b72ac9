//! What a run does: every value typed, checked, and with the place it comes from.
//!
//! Five layers, each over the one before: defaults, preset, file, environment, command line
//! ([`Sources`]). [`resolve`] merges them; [`schema`] is the one list of settings, from which types, ranges,
//! docs and the names in messages are taken. A component's parameters join it through the JSON Schema that its
//! plugin hands over.

mod check;
mod compat;
mod components;
mod error;
mod layers;
mod merge;
mod nearest;
mod origin;
mod presets;
mod resolve;
mod rules;
pub mod schema;
mod show;
mod tree;

#[cfg(test)]
mod tests;

pub use components::KnownComponents;
pub use error::SettingsError;
pub use layers::{Assignment, Sources};
pub use origin::{Origin, Origins};
pub use presets::{DEFAULT_PRESET, preset_names};
pub use resolve::{Resolved, resolve};
pub use schema::{
    Compat, Component, DataSettings, Evaluation, EvaluationSplit, EvaluatorSettings, Imitation, ImitationSelection,
    LearningRateShape, ProcessSettings, PromptTargets, RewardTraining, Rl, RlSelection, Settings,
};
