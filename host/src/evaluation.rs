//! How good are paths? (method, section 7)

pub mod path_metrics;
pub mod summary;

pub use summary::Evaluation;
