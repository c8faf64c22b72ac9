//! What every training loop shares: the optimiser and the learning rate's schedule.

pub mod adamw;
pub mod schedule;
pub mod weights;
