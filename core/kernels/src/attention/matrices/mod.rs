//! The same passes in the processor's registers of matrices: 16 queries at a time, factors of bf16, and sums in float32.
//!
//! What is between products is float32 too; probabilities, and gradients of scores, are rounded where they become factors.

mod backward;
mod forward;

pub use crate::matrices::{HIGH, Matrices};
pub use backward::{Backward, pass as backward};
pub use forward::{Forward, pass as forward};
