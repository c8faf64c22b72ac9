//! The most popular items, whoever the user and whatever the target.

mod parameters;
mod policy;

pub use parameters::PopularParameters;
pub use policy::PopularPolicy;

prorl_sdk::export_plugin!();
