//! The Influential Recommender Network (Zhu et al., 2023): a Transformer that sees its objective.

mod decoding;
mod network;
mod parameters;
mod policy;

pub use parameters::IrnParameters;
pub use policy::Irn;

prorl_sdk::export_plugin!();
