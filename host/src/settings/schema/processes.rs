//! How the processes of a run work together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Several processes, started by `--nproc`, torchrun or SLURM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessSettings {
    /// Parts into which every batch is cut, each with random numbers of its own; the processes share them out. Runs
    /// with equally many are equal, however many processes they have; 0 = as many as there are processes.
    #[schemars(range(min = 0))]
    pub blocks: i64,
    /// Seconds after which a process that waits for the others gives up.
    #[schemars(range(min = 1))]
    pub timeout: i64,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { blocks: 0, timeout: 300 }
    }
}
