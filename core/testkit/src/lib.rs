//! What an author tests with: golden numbers and comparisons that say what differs.
//!
//! [`conformance`] checks whole components; everything else here panics with a sentence where a test should fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod closeness;
pub mod conformance;
pub mod fixtures;
