//! Iterative Preference Guidance (Bi et al., 2024): interaction probability times guiding value.

mod guide;
mod parameters;
mod policy;

pub use parameters::IpgParameters;
pub use policy::Ipg;

prorl_sdk::export_plugin!();
