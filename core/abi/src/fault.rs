//! An error on its way across the boundary.

use abi_stable::StableAbi;
use abi_stable::std_types::RString;
use std::fmt;

/// What kind of thing went wrong; the host's exit code depends on it.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A parameter has a wrong name, type or value: the user can mend it.
    Parameters,
    /// Data or a file given to the component is wrong: the user can mend it.
    Input,
    /// The component lacks what was asked of it.
    Unsupported,
    /// A tensor has a wrong shape, type, device or value.
    Tensor,
    /// The component panicked.
    Panic,
    /// Anything else.
    Internal,
}

/// Plugin, component, call, reason.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// Library and version, e.g. `prorl-plugin-t5 0.1.0`; empty until the boundary fills it in.
    pub plugin: RString,
    /// Component within the library, e.g. `t5`.
    pub component: RString,
    /// Method that failed, e.g. `rollout`.
    pub call: RString,
    /// What was wrong, in a sentence.
    pub message: RString,
}

impl Fault {
    /// A fault that does not yet say where it happened.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            plugin: RString::new(),
            component: RString::new(),
            call: RString::new(),
            message: RString::from(message.into()),
        }
    }

    /// The same fault, saying in which library, component and call it happened.
    pub fn located(mut self, plugin: &str, component: &str, call: &str) -> Self {
        self.plugin = plugin.into();
        self.component = component.into();
        self.call = call.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.kind == FaultKind::Panic { "panicked: " } else { "" };
        if self.component.is_empty() {
            return write!(formatter, "{verb}{}", self.message);
        }
        write!(formatter, "plugin {} · {} · {}: {verb}{}", self.plugin, self.component, self.call, self.message)
    }
}

impl std::error::Error for Fault {}
