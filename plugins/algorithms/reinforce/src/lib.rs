//! REINFORCE: every action of a path is weighted by the return of the whole path.
//!
//! [`reinforce`] is the estimator, [`parameters`] is what a user sets.

pub mod parameters;
pub mod reinforce;

prorl_sdk::export_plugin!();
