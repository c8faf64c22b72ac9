//! GRU4Rec (Hidasi et al., 2016; Tan et al., 2016) as a reward model; numbers and names of RecBole 1.2.1.

mod encoder;
mod parameters;

pub use encoder::Encoder;
pub use parameters::Gru4RecParameters;

/// GRU4Rec as the host sees it.
pub type Gru4Rec = prorl_seqrec::SequenceModel<Encoder>;

prorl_sdk::register_reward_model!("gru4rec", "A recurrent network (GRU) over the user's items.", crate::Gru4Rec);
prorl_sdk::export_plugin!();
