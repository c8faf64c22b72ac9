//! GRPO: returns normalised within the group, clipped ratios.
//!
//! [`grpo`] is the estimator, [`parameters`] is what a user sets.

pub mod grpo;
pub mod parameters;

prorl_sdk::export_plugin!();
