//! Several processes of one run, over libtorch's own engine c10d: who takes part, what they sum, gather and send each
//! other, and gradients that are reduced while backward still runs.
//!
//! A group is made from what `torchrun`, SLURM or the host's own launcher put into the environment
//! ([`Place::from_environment`]). Processes find each other in a store, a small key-value server. Gloo moves what lies
//! in the machine's memory, NCCL what lies on GPUs; NCCL is compiled in where its headers are.
//!
//! Every collective has a name, and an error says which process failed in which: see [`DistributedError`].

mod adamw;
mod calls;
mod environment;
mod error;
mod gather;
mod group;
mod heartbeat;
mod memory;
mod products;
mod reducer;
mod store;

pub use adamw::{AdamWStep, Moving, fused_adamw};
pub use environment::Place;
pub use error::DistributedError;
pub use group::ProcessGroup;
pub use memory::{keep_freed_memory, release_freed_memory};
pub use products::widen_float32_products;
pub use reducer::Reducer;
pub use store::Store;

/// What this crate's calls give.
pub type Result<T, E = DistributedError> = std::result::Result<T, E>;
