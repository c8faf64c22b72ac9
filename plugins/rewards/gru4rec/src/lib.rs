//! GRU4Rec (Hidasi et al., 2016; Tan et al., 2016) as a reward model; the encoder is [`prorl_seqrec::gru4rec`].

pub use prorl_seqrec::gru4rec::{Encoder, Gru4RecParameters};

/// GRU4Rec as the host sees it.
pub type Gru4Rec = prorl_seqrec::SequenceModel<Encoder>;

prorl_sdk::register_reward_model!("gru4rec", "A recurrent network (GRU) over the user's items.", crate::Gru4Rec);
prorl_sdk::export_plugin!();
