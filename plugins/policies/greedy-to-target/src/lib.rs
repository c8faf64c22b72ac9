//! The usual way of making a sequence model proactive: of what it would recommend, whatever is nearest to the target.

mod nearest;
mod parameters;
mod policy;

pub use parameters::GreedyParameters;
pub use policy::GreedyToTarget;

prorl_sdk::export_plugin!();
