//! T5 over semantic ids: sampling, beam search and differentiable log-probabilities under one distribution.
//!
//! The numbers are those of Hugging Face Transformers 4.45.2 for the same weights. Speed comes from encoding each
//! prompt once, sharing its keys and values within its group, keeping earlier keys and values while drawing, and
//! leaving tokens that do not exist out of every product.

mod beam;
mod choices;
mod decoder;
mod encoder;
mod layers;
mod log_probs;
mod parameters;
mod policy;
mod sampling;
mod spelling;
mod steps;
mod trie;
mod weights;

pub use parameters::T5Parameters;
pub use policy::T5Policy;

prorl_sdk::export_plugin!();
