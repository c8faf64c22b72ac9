//! Reward-to-go: every action is weighted by what comes after it.
//!
//! [`reward_to_go`] is the estimator, [`parameters`] is what a user sets.

pub mod parameters;
pub mod reward_to_go;

prorl_sdk::export_plugin!();
