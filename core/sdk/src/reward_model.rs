//! The reward model's contract: how would the user react?

use crate::crossing;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::metrics::MetricDeclaration;
use crate::parameters::Parameters;
use crate::path_details::{self, PathDetails};
use crate::prompts::{Paths, Prompts};
use crate::setup::Setup;
use tch::Tensor;

crossing! {
    /// Sequences to learn from.
    pub struct Sequences {
        /// Items, right-padded with 0. // [N, T] int64
        pub items: Tensor,
        /// The item that follows each position, 0 where there is nothing to learn. // [N, T] int64
        pub labels: Tensor,
    }

    /// The user's mind along every path.
    ///
    /// Column `k` is the state after the history and the path's first `k` positions; invalid items
    /// leave the state as it was. Columns after the path's end repeat the last.
    pub struct PathScores {
        /// Log-probability of the target among the `V` real items. // [B, G, P + 1] float
        pub target_log_prob: Tensor,
        /// `1 + #{v : p(v) > p(target)}`. // [B, G, P + 1] int64
        pub target_rank: Tensor,
        /// Probability that the item at position `p` is clicked by the user before it; 0 where there
        /// is no valid item. // [B, G, P] float
        pub click_prob: Tensor,
    }
}

/// How would the user react?
///
/// Inputs arrive on the device of `setup`. The host holds the training loop; it calls `score_paths`
/// and `next_item_scores` without gradient and with `set_training(false)`.
pub trait RewardModel: Sized + Send {
    /// What a user may set.
    type Parameters: Parameters;

    /// Optional calls that this model answers; see the methods with a default body.
    const CAPABILITIES: &'static [&'static str] = &[];

    /// Makes the model with fresh weights drawn from libtorch's generator (the host seeds it).
    ///
    /// # Errors
    /// A parameter makes no sense.
    fn create(parameters: Self::Parameters, setup: &Setup) -> Result<Self>;

    /// All weights by name, those of the library whose model this is; trainable where they require
    /// gradient. The host saves, loads and optimises them in place.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// Switches dropout on or off.
    fn set_training(&mut self, training: bool);

    /// Judges every prefix of every path.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores>;

    /// Scores of all items as the next one after the whole sequence; `items` is `[N, T]`
    /// right-padded. // [N, V + 1], column 0 is padding and to be ignored
    ///
    /// # Errors
    /// Shapes do not fit.
    fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor>;

    /// Mean loss over all labelled positions. Models that are not trained have none.
    ///
    /// # Errors
    /// Shapes do not fit, or the model is not trained.
    fn loss(&mut self, _sequences: &Sequences) -> Result<Loss> {
        Err(Error::Unsupported("this reward model is not trained".into()))
    }

    /// Metrics that `loss` reports.
    fn metrics() -> Vec<MetricDeclaration> {
        Vec::new()
    }

    /// Capability `prefix_states`: the state after every prefix of `items` `[N, T]`. // [N, T, D]
    ///
    /// # Errors
    /// The model has no such states.
    fn prefix_states(&mut self, _items: &Tensor) -> Result<Tensor> {
        Err(Error::Unsupported("this reward model has no prefix states".into()))
    }

    /// Capability `left_padded_scores`: `score_paths` as ProRL's published training code has it, which pads on the left
    /// what its models read as padded on the right. To repeat its results, not to learn well.
    ///
    /// # Errors
    /// The model cannot misread.
    fn left_padded_scores(&mut self, _prompts: &Prompts, _paths: &Paths) -> Result<PathScores> {
        Err(Error::Unsupported("this reward model has no left-padded scores".into()))
    }

    /// Capability `path_details`: how likely the paths' items are, and ranks among items that are new to the user. Only
    /// evaluations ask for it.
    ///
    /// This default asks `next_item_scores` once a column and takes them for logits: a model whose scores are logits
    /// need only name the capability.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn path_details(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathDetails> {
        path_details::by_next_item_scores(self, prompts, paths)
    }
}
