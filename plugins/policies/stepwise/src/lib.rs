//! Paths picked item by item: what policies without a decoder of their own share.
//!
//! A policy brings a [`NextItem`]; [`Stepwise`] makes rollouts of it. Letters of shapes as in
//! `prorl_sdk::prompts`; besides, `K` paths of a prompt so far, `N` prefixes that go on, `t` items of a prefix.
//! Scores have a column for every item id; that of padding, 0, stands for the stop.

mod filters;
mod next_item;
mod pick;
mod stepwise;
mod walk;

pub use next_item::{Choices, NextItem, Prefixes};
pub use pick::Beams;
pub use stepwise::Stepwise;
