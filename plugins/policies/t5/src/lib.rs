//! T5 over semantic ids as a policy: exact Hugging Face numbers, constrained decoding, one pass a group.
//!
//! Letters of shapes are those of the SDK: `B` prompts, `G` paths of a prompt, `P` most items of a path,
//! `L` digits of a code, `T` tokens, `V` vocabulary, `D` hidden; `N` real positions of a batch.

mod attention;
mod beam;
mod decoder;
mod encoder;
mod filters;
mod fused;
mod head;
mod hypotheses;
mod imitation;
mod layout;
mod log_probs;
mod memories;
mod own_past;
mod parameters;
mod policy;
mod precision;
mod relative;
mod sampling;
mod shared_past;
mod shared_start;
mod sight;
mod stepper;
mod tokens;
mod trie;
mod weights;

pub use parameters::T5Parameters;
pub use policy::T5Policy;
pub use precision::Precision;

prorl_sdk::export_plugin!();
