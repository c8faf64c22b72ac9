//! What a sequence model brings: states, and the items' embeddings.

use prorl_sdk::error::Result;
use prorl_sdk::parameters::Parameters;
use prorl_sdk::setup::Setup;
use tch::Tensor;

/// A causal model of item sequences with tied item embeddings.
pub trait SequenceEncoder: Sized + Send {
    /// What a user may set.
    type Parameters: Parameters;

    /// Makes the encoder with fresh weights, trainable, on the device of `setup`.
    ///
    /// # Errors
    /// A parameter makes no sense.
    fn create(parameters: Self::Parameters, setup: &Setup) -> Result<Self>;

    /// All weights by name; the very tensors that `states` reads.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// Embedding of every item, row 0 for padding. // [V + 1, D]
    fn item_embedding(&self) -> &Tensor;

    /// Most items it can read at once; `None` if there is no limit.
    fn window(&self) -> Option<i64>;

    /// Items drawn for each training step to compare with; 0 for all items.
    fn negatives(&self) -> i64 {
        0
    }

    /// The state after every prefix of `items` `[N, T]`, right-padded with 0 and at most `window` wide;
    /// states at padding are arbitrary. `training` switches dropout on. // [N, T, D]
    fn states(&self, items: &Tensor, training: bool) -> Tensor;

    /// The states after every prefix of `histories` `[B, H]`, and after those that `paths` `[B, G, P]` go on with, where the
    /// model can read a history once for all its paths; without dropout. Both are right-padded with 0 and have no gaps,
    /// together they are at most `window` wide, and states at padding are arbitrary. // [B, H, D], [B, G, P, D]
    ///
    /// This default says that it cannot.
    fn states_of_branches(&self, _histories: &Tensor, _paths: &Tensor) -> Option<[Tensor; 2]> {
        None
    }

    /// States after every column of rows that hold padding anywhere, as RecBole computes them of such rows, without
    /// dropout: needed to repeat what published code does, which reads rows that are padded on the wrong
    /// side. // [N, T, D]
    ///
    /// This default is that of recurrent models, which read padding like an item.
    fn states_of_padded(&self, items: &Tensor) -> Tensor {
        self.states(items, false)
    }
}
