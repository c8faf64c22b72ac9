//! RLOO: every path is compared with the others of its group.
//!
//! [`rloo`] is the estimator, [`parameters`] is what a user sets.

pub mod parameters;
pub mod rloo;

prorl_sdk::export_plugin!();
