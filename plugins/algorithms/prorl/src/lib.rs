//! ProRL: stepwise reward centring and position-specific advantages for proactive recommendation.
//!
//! The method is sections 5 and 6 of the specification; [`prorl`] reads like it, [`parameters`] is what a user sets.

pub mod parameters;
pub mod prorl;

prorl_sdk::export_plugin!();
