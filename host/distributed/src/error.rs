//! What can go wrong between processes.

use thiserror::Error;

/// An error between processes.
#[derive(Debug, Error)]
pub enum DistributedError {
    /// The environment does not say which process this is.
    #[error("{variable} {problem}; torchrun, srun and --nproc set it")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// The store cannot be opened or used.
    #[error("cannot {call} the processes' store at {address}: {reason}")]
    Store {
        /// What was tried.
        call: &'static str,
        /// Where the store is.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The processes did not find each other.
    #[error("process {rank} of {processes} could not join the others: {reason}{others}")]
    Join {
        /// This process.
        rank: usize,
        /// How many there should be.
        processes: usize,
        /// Why not.
        reason: String,
        /// What is known of the others.
        others: String,
    },
    /// A collective broke off.
    #[error("process {rank} of {processes}: the collective `{collective}` failed: {reason}{others}")]
    Collective {
        /// This process.
        rank: usize,
        /// How many there are.
        processes: usize,
        /// What was being done together.
        collective: String,
        /// Why it failed.
        reason: String,
        /// What is known of the others: who is gone, who has not come.
        others: String,
    },
    /// The fused optimiser cannot move the parameters.
    #[error("the optimiser cannot move the parameters: {0}")]
    Optimiser(String),
    /// The C library does not keep freed memory.
    #[error("freed memory is not kept for the next tensor, which costs time: {0}")]
    Memory(String),
    /// libtorch does not change the library that multiplies.
    #[error("float32 products stay on narrow vectors, which costs time: {0}")]
    Products(String),
    /// Tensors lie on a GPU and this build has no NCCL.
    #[error(
        "several processes on GPUs need NCCL, and this build has none: build where nccl.h, cuda_runtime.h and \
         libtorch_cuda.so are (PRORL_NCCL_INCLUDE names a folder of headers), or use --device cpu"
    )]
    NoNccl,
}
