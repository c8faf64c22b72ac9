//! No panic and no unlocated error leaves a plugin.

use crate::error::{Error, without_trace};
use crate::export::library;
use prorl_abi::fault::{Fault, FaultKind};
use prorl_abi::object::Outcome;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static LAST_PANIC_AT: RefCell<Option<String>> = const { RefCell::new(None) };
    /// How many guarded calls this thread is in.
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

/// Makes panics of guarded calls remember where they happened instead of printing it; called once a library. Other
/// panics are reported as before: where plugins are linked into the program, the hook is the program's.
pub fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if GUARDED.get() == 0 {
                return others(panic);
            }
            let at = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            LAST_PANIC_AT.with(|last| *last.borrow_mut() = at);
        }));
    });
}

fn caught<T>(body: impl FnOnce() -> T) -> std::thread::Result<T> {
    GUARDED.set(GUARDED.get() + 1);
    // Unwind safety: after a panic the host only drops the component, or ends the run.
    let outcome = catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(GUARDED.get() - 1);
    outcome
}

/// Runs a call of a component; an error or a panic becomes a fault that says where.
pub fn guarded<T>(component: &str, call: &str, body: impl FnOnce() -> Result<T, Error>) -> Outcome<T> {
    let outcome = match caught(body) {
        Ok(result) => result.map_err(Fault::from),
        Err(payload) => Err(Fault::new(FaultKind::Panic, panic_message(&*payload))),
    };
    outcome.map_err(|fault| fault.located(&library::owner(component), component, call)).into()
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
pub struct Held<T> {
    component: &'static str,
    value: Option<T>,
}

impl<T> Held<T> {
    /// Owns `value`, which is called `component` in messages.
    pub fn new(component: &'static str, value: T) -> Self {
        Self { component, value: Some(value) }
    }

    /// The component, which is there until drop.
    pub fn get(&self) -> Result<&T, Error> {
        self.value.as_ref().ok_or_else(|| Error::Boundary("the component is gone".into()))
    }

    /// The component, which is there until drop.
    pub fn get_mut(&mut self) -> Result<&mut T, Error> {
        self.value.as_mut().ok_or_else(|| Error::Boundary("the component is gone".into()))
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if let Err(payload) = caught(|| drop(value)) {
            let (owner, component) = (library::owner(self.component), self.component);
            log::error!("{owner} · {component}: panicked while being dropped: {}", panic_message(&*payload));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_panic_becomes_a_fault_that_names_the_call() {
        let outcome: Outcome<()> = guarded("t5", "rollout", || panic!("shape"));
        let fault = outcome.into_result().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Panic);
        assert!(fault.to_string().contains("t5 · rollout: panicked: shape"), "{fault}");
    }

    #[test]
    fn panics_outside_of_calls_go_where_they_went_before() {
        static HEARD: AtomicBool = AtomicBool::new(false);
        std::panic::set_hook(Box::new(|panic| {
            if panic.payload().downcast_ref::<&str>() == Some(&"stray") {
                HEARD.store(true, Ordering::SeqCst);
            }
        }));
        remember_panics();
        let outcome: Outcome<()> = guarded("t5", "rollout", || panic!("stray"));
        assert!(outcome.into_result().unwrap_err().to_string().contains("stray (at "));
        assert!(!HEARD.load(Ordering::SeqCst), "a panic within a call was printed");
        assert!(catch_unwind(|| panic!("stray")).is_err());
        assert!(HEARD.load(Ordering::SeqCst), "a panic outside of calls was swallowed");
    }

    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("boom");
        }
    }

    #[test]
    fn a_panic_in_drop_goes_no_further() {
        drop(Held::new("grenade", Grenade));
    }
}
