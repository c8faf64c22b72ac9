//! The tokenizer `sem-ids`: item codes that somebody else has made, read from a `.sem_ids` file.

mod code_file;
mod tokenizer;

pub use tokenizer::{SemIds, SemIdsParameters};

prorl_sdk::export_plugin!();
