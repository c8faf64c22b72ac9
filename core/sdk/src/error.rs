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
        Fault::new(error.kind(), without_trace(&error.to_string()))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Boundary(fault.to_string())
    }
}

/// libtorch's message without the addresses of its own calls, which fill a screen and name nothing.
pub fn without_trace(message: &str) -> &str {
    // As text, and as text within quotes.
    let ends = ["\nException raised from", "\\nException raised from"].map(|begin| message.find(begin));
    &message[..ends.into_iter().flatten().min().unwrap_or(message.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_libtorch_ends_before_its_trace() {
        assert_eq!(without_trace("size mismatch\nException raised from f at x.cpp:1\nframe #0"), "size mismatch");
        assert_eq!(without_trace("Torch(\"size\\nException raised from f\\nframe #0\")"), "Torch(\"size");
        assert_eq!(without_trace("an empty batch"), "an empty batch");
    }
}
