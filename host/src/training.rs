//! What every training loop shares: the optimiser, the step of descent and the learning rate's schedule.

pub mod adamw;
pub mod descent;
pub mod schedule;
pub mod weights;
