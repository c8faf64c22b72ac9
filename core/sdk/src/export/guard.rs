//! No panic and no unlocated error leaves a plugin.

use crate::error::{Error, without_trace};
use crate::export::library;
use prorl_abi::fault::{Fault, FaultKind};
use prorl_abi::object::Outcome;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static LAST_PANIC_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics remember where they happened instead of printing it; called once a library.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
        LAST_PANIC_AT.with(|last| *last.borrow_mut() = at);
    }));
}

/// Runs a call of a component; an error or a panic becomes a fault that says where.
pub fn guarded<T>(component: &str, call: &str, body: impl FnOnce() -> Result<T, Error>) -> Outcome<T> {
    // Unwind safety: after a panic the host only drops the component, or ends the run.
    let outcome = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result.map_err(Fault::from),
        Err(payload) => Err(Fault::new(FaultKind::Panic, panic_message(&*payload))),
    };
    outcome.map_err(|fault| fault.located(&library::name(), component, call)).into()
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into());
    let text = without_trace(&text);
    match LAST_PANIC_AT.with(|last| last.borrow_mut().take()) {
        Some(at) => format!("{text} (at {at})"),
        None => text.to_owned(),
    }
}

/// Owns a component; a panic in its destructor is logged and goes no further.
pub struct Held<T>(Option<T>);

impl<T> Held<T> {
    /// Owns `value`.
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The component, which is there until drop.
    pub fn get(&self) -> Result<&T, Error> {
        self.0.as_ref().ok_or_else(|| Error::Boundary("the component is gone".into()))
    }

    /// The component, which is there until drop.
    pub fn get_mut(&mut self) -> Result<&mut T, Error> {
        self.0.as_mut().ok_or_else(|| Error::Boundary("the component is gone".into()))
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            log::error!("{}: panicked while being dropped: {}", library::name(), panic_message(&*payload));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault_that_names_the_call() {
        let outcome: Outcome<()> = guarded("t5", "rollout", || panic!("shape"));
        let fault = outcome.into_result().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Panic);
        assert!(fault.to_string().contains("t5 · rollout: panicked: shape"), "{fault}");
    }

    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("boom");
        }
    }

    #[test]
    fn a_panic_in_drop_goes_no_further() {
        drop(Held::new(Grenade));
    }
}
