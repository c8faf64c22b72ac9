//! The tokenizer's contract: items get codes.

use crate::crossing;
use crate::error::Result;
use crate::parameters::Parameters;
use crate::setup::Setup;
use tch::Tensor;

crossing! {
    /// What is known of the items.
    pub struct Catalogue {
        /// Raw id of every item; `raw_ids[0]` is the padding item's empty text. `V + 1` texts.
        pub raw_ids: Vec<String>,
        /// Attributes of item `v` are `attribute_values[attribute_offsets[v]..attribute_offsets[v + 1]]`. // [V + 2] int64
        pub attribute_offsets: Tensor,
        /// Attribute ids from 0. // [N] int64
        pub attribute_values: Tensor,
        /// Users' item sequences in time order: user `u` has
        /// `sequence_items[sequence_offsets[u]..sequence_offsets[u + 1]]`. // [U + 1] int64
        pub sequence_offsets: Tensor,
        /// Item ids from 1. // [M] int64
        pub sequence_items: Tensor,
        /// The data's own `.sem_ids` file, if it has one.
        pub semantic_ids: Option<String>,
        /// The data's own embedding matrix (`.npy` or `.safetensors`), if it has one.
        pub embeddings: Option<String>,
    }

    /// A code for every item.
    pub struct CodeTable {
        /// Digits from 0; the last may start at 1, as published files do. Row 0 is zeros. // [V + 1, L] int64
        pub codes: Tensor,
        /// Entries of one codebook; every digit is below it.
        pub codebook_size: i64,
        /// Figures worth printing, e.g. collisions and codebook use.
        pub report: Vec<(String, f64)>,
    }
}

/// What codes do the items have?
pub trait Tokenizer: Sized + Send {
    /// What a user may set.
    type Parameters: Parameters;

    /// Makes the tokenizer; `setup.codes` is absent.
    ///
    /// # Errors
    /// A parameter makes no sense.
    fn create(parameters: Self::Parameters, setup: &Setup) -> Result<Self>;

    /// Gives every item a code; no two items may share one.
    ///
    /// # Errors
    /// A file is missing or malformed, or the catalogue does not suffice.
    fn tokenize(&mut self, catalogue: &Catalogue) -> Result<CodeTable>;
}
