//! A2C: advantages by a value head on the policy's states.
//!
//! [`a2c`] is the estimator, [`parameters`] is what a user sets.

pub mod a2c;
pub mod parameters;

prorl_sdk::export_plugin!();
