//! Plugins: found, opened, checked, made.
//!
//! The only place of the host that loads libraries. Libraries are never unloaded: objects, log records and
//! panics of theirs may outlive every owner the host could name.

mod archive;
mod built_in;
mod child;
mod image;
pub mod installation;
pub mod library;
pub mod registry;
pub mod search;
pub mod survey;
pub mod trial;
mod trust;

pub use prorl_sdk::foreign::{ForeignAlgorithm, ForeignPolicy, ForeignRewardModel, ForeignTokenizer};
pub use registry::{Component, Registry};

use prorl_abi::fault::Fault;
use std::path::PathBuf;
use thiserror::Error;

/// What can go wrong between host and plugin.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The file is no plugin that this host can use.
    #[error("cannot load plugin {path}: {reason}", path = path.display())]
    Load { path: PathBuf, reason: String },
    /// A folder of the search path cannot be read.
    #[error("cannot look for plugins in {path}: {source}", path = path.display())]
    Search { path: PathBuf, source: std::io::Error },
    /// No library has such a component.
    #[error("there is no {kind} `{name}`{hint}; `prorl-host plugin list` shows what there is")]
    Unknown { kind: String, name: String, hint: String },
    /// A call failed within a plugin.
    #[error("{0}")]
    Call(Fault),
}

impl From<Fault> for PluginError {
    fn from(fault: Fault) -> Self {
        PluginError::Call(fault)
    }
}

impl PluginError {
    /// What the plugin reported, where it was a call that failed.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            PluginError::Call(fault) => Some(fault),
            _ => None,
        }
    }
}

/// The result of anything that involves plugins.
pub type Result<T> = std::result::Result<T, PluginError>;
