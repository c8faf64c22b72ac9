//! The same passes in the processor's registers of matrices: 16 queries at a time, factors of bf16, and sums in float32.
//!
//! What is between products is float32 too; probabilities, and gradients of scores, are rounded where they become factors.

mod backward;
mod forward;

use super::sequence::Sequence;
use crate::matrices::DEEP;
use crate::number::Number;
use crate::tiles::WIDE;

pub use crate::matrices::{HIGH, Matrices};
pub use backward::{Backward, pass as backward};
pub use forward::{Forward, pass as forward};

/// How many numbers of a row of scores count where the last of sixteen queries is this: whole tiles of what that one sees.
fn across<N: Number>(sequence: &Sequence<'_, N>, last: usize) -> usize {
    sequence.seen(last).next_multiple_of(WIDE)
}

/// Numbers between rows of scores: whole steps of the products that sum over keys.
fn step<N: Number>(sequence: &Sequence<'_, N>) -> usize {
    sequence.keys.count.next_multiple_of(DEEP)
}
