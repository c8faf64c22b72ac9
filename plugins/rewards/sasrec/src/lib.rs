//! SASRec (Kang and McAuley, 2018) as a reward model; numbers and names of RecBole 1.2.1.

mod attention;
mod encoder;
mod feed_forward;
mod layers;
mod parameters;

pub use encoder::Encoder;
pub use parameters::SasRecParameters;

/// SASRec as the host sees it.
pub type SasRec = prorl_seqrec::SequenceModel<Encoder>;

prorl_sdk::register_reward_model!(
    "sasrec",
    "Self-attentive sequential recommendation: a causal Transformer over the user's items.",
    crate::SasRec
);
prorl_sdk::export_plugin!();
