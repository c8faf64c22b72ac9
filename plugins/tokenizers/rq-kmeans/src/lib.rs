//! The tokenizer `rq-kmeans`: item codes by residual k-means over an embedding of the items.
//!
//! The embedding is read from a file (`embeddings`) or made from attributes and behaviour
//! (`features`); `residual` quantises it level by level; `last_digit` makes the codes unique.

mod attributes;
mod cooccurrence;
mod embeddings;
mod factorise;
mod features;
mod kmeans;
mod last_digit;
mod parameters;
mod ragged;
mod residual;
mod seeding;
mod sparse;
mod tokenizer;

pub use parameters::RqKmeansParameters;
pub use tokenizer::RqKmeans;

prorl_sdk::export_plugin!();
