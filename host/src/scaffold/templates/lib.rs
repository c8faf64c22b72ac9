//! {{title}} `{{name}}` for prorl-host.
//!
//! [`{{module}}`] is the component and what a user may set of it.

pub mod {{module}};

prorl_sdk::export_plugin!();
