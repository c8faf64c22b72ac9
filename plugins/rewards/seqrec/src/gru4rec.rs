//! GRU4Rec (Hidasi et al., 2016; Tan et al., 2016): a recurrent network over the user's items; numbers and names of
//! RecBole 1.2.1.

mod encoder;
mod parameters;

pub use encoder::Encoder;
pub use parameters::Gru4RecParameters;
