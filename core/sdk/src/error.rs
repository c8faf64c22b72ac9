//! What can go wrong in a component.

use prorl_abi::fault::{Fault, FaultKind};
use thiserror::Error;

/// An error of a component, in a sentence that says what was wrong and what to do.
///
/// Which plugin, component and call it happened in is added at the boundary.
#[derive(Debug, Error)]
pub enum Error {
    /// A parameter's value makes no sense.
    #[error("{0}")]
    Parameters(String),
    /// A file or the data given are wrong.
    #[error("{0}")]
    Input(String),
    /// The component lacks what was asked of it.
    #[error("{0}")]
    Unsupported(String),
    /// A tensor has a wrong shape, type, device or value.
    #[error("{0}")]
    Tensor(String),
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A call of the host failed within a component's call.
    #[error("{0}")]
    Boundary(String),
}

/// The result of a component's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What the host makes of it.
    pub fn kind(&self) -> FaultKind {
        match self {
            Error::Parameters(_) => FaultKind::Parameters,
            Error::Input(_) => FaultKind::Input,
            Error::Unsupported(_) => FaultKind::Unsupported,
            Error::Tensor(_) | Error::Torch(_) => FaultKind::Tensor,
            Error::Boundary(_) => FaultKind::Internal,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(error.kind(), error.to_string())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Boundary(fault.to_string())
    }
}
