//! SASRec (Kang and McAuley, 2018) as a reward model; the encoder is [`prorl_seqrec::sasrec`].

pub use prorl_seqrec::sasrec::{Encoder, SasRecParameters};

/// SASRec as the host sees it.
pub type SasRec = prorl_seqrec::SequenceModel<Encoder>;

prorl_sdk::register_reward_model!(
    "sasrec",
    "Self-attentive sequential recommendation: a causal Transformer over the user's items.",
    crate::SasRec
);
prorl_sdk::export_plugin!();
