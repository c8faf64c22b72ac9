//! The stages of an experiment, in order: codes, reward model, imitation, reinforcement, evaluation.

pub mod codes;
pub mod evaluation;
pub mod imitation;
pub mod reinforcement;
pub mod reward_model;
