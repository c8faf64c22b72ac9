//! Items drawn uniformly: what a path is worth that nobody thought about.

mod parameters;
mod policy;

pub use parameters::RandomParameters;
pub use policy::RandomPolicy;

prorl_sdk::export_plugin!();
