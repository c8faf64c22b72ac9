//! SASRec (Kang and McAuley, 2018): a causal Transformer over the user's items; numbers and names of RecBole 1.2.1.

pub mod attention;
mod branches;
mod encoder;
pub mod feed_forward;
pub mod layers;
mod parameters;

pub use encoder::Encoder;
pub use parameters::SasRecParameters;
