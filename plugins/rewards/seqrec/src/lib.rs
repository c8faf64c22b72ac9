//! Sequence models, for all plugins that read what a user did.
//!
//! A causal model has a state after every prefix of a sequence, and scores item `v` as the next one by
//! the inner product of that state with `v`'s embedding. All else follows: judging paths, ranking next
//! items, learning. A model brings only its [`SequenceEncoder`]; [`SequenceModel`] makes a `RewardModel`
//! of it. The encoders [`sasrec`] and [`gru4rec`] are here and not in their plugins, because policies read
//! sequences too and a plugin depends on no other.
//!
//! Letters of shapes as in `prorl_sdk::prompts`; besides, `N` sequences, `M` prefixes, `R` rows of a chunk.

pub mod chunks;
pub mod cross_entropy;
pub mod details;
pub mod either;
pub mod encoder;
pub mod gru4rec;
pub mod initial;
pub mod model;
pub mod paths;
pub mod prefixes;
pub mod rank;
pub mod sampled_softmax;
pub mod sasrec;
pub mod sequences;

pub use either::{Either, EitherParameters, ModelName};
pub use encoder::SequenceEncoder;
pub use model::SequenceModel;
