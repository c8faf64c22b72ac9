//! How good are paths? (method, section 7)

pub mod concentration;
pub mod figures;
mod gathering;
pub mod path_details;
pub mod path_metrics;
pub mod summary;

pub use summary::Evaluation;
