//! PPO: clipped ratios and values, several updates a batch.
//!
//! [`ppo`] is the estimator, [`parameters`] is what a user sets.

pub mod parameters;
pub mod ppo;

prorl_sdk::export_plugin!();
