//! The conformance kit: what must hold of every component, whichever library it lives in.
//!
//! It calls components as the host does, over the frozen object traits: those of a library opened with dlopen
//! ([`check_library`]), or those that the running binary itself registers ([`assert_registered`]), so that a plugin's
//! own test and `prorl-host plugin check` run the same checks. Every check makes its component anew, with the default
//! parameters, on a problem of 30 items.

mod algorithm;
mod examples;
mod finding;
mod parameters;
mod policy;
mod reward_model;
mod tokenizer;
mod weights;

use examples::Problem;
use finding::{Finding, Reason};
use prorl_sdk::abi::module::PluginModuleRef;
use prorl_sdk::error::without_trace;
use prorl_sdk::export::description::{Description, Kind};
use prorl_sdk::export::library;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::Device;

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// The component does not offer what is checked.
    Skipped(String),
    /// It does not hold; a sentence with the offending numbers.
    Failed(String),
}

/// One check of one component.
#[derive(Clone, Debug)]
pub struct Check {
    /// E.g. ``reward model `sasrec` ``.
    pub component: String,
    /// What should hold, as a sentence.
    pub name: &'static str,
    /// Whether it does.
    pub verdict: Verdict,
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Passed => write!(formatter, "pass  {}", self.name),
            Verdict::Skipped(why) => write!(formatter, "skip  {} ({why})", self.name),
            Verdict::Failed(why) => write!(formatter, "FAIL  {}: {why}", self.name),
        }
    }
}

/// Hears of every check before it runs and when it has ended, so that a process that dies tells where.
pub trait Listener {
    /// `check` of `component` begins.
    fn begins(&mut self, component: &str, check: &'static str);
    /// It has ended.
    fn ends(&mut self, check: &Check);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Listener for Silent {
    fn begins(&mut self, _: &str, _: &'static str) {}
    fn ends(&mut self, _: &Check) {}
}

/// A component under test.
struct Subject<'a> {
    module: PluginModuleRef,
    description: &'a Description,
    problem: &'a Problem,
}

/// What should hold, and how that is found out.
type Entry = (&'static str, fn(&Subject<'_>) -> Finding);

fn entries(kind: Kind) -> impl Iterator<Item = Entry> {
    let of_kind = match kind {
        Kind::Tokenizer => tokenizer::CHECKS,
        Kind::RewardModel => reward_model::CHECKS,
        Kind::Policy => policy::CHECKS,
        Kind::Algorithm => algorithm::CHECKS,
    };
    parameters::CHECKS.iter().chain(of_kind).copied()
}

/// Checks every one of `components` of a library.
pub fn check_library(
    module: PluginModuleRef,
    components: &[Description],
    device: Device,
    listener: &mut dyn Listener,
) -> Vec<Check> {
    let problem = Problem::on(device);
    let mut checks = Vec::new();
    for description in components {
        let subject = Subject { module, description, problem: &problem };
        let component = format!("{} `{}`", description.kind, description.name);
        for (name, body) in entries(description.kind) {
            listener.begins(&component, name);
            let check = Check { component: component.clone(), name, verdict: verdict(|| body(&subject)) };
            listener.ends(&check);
            checks.push(check);
        }
    }
    checks
}

/// Checks every component that this binary registers, through the same functions that a library exports.
///
/// # Panics
/// A check fails, or nothing is registered; the message lists what failed.
pub fn assert_registered() {
    let components = prorl_sdk::export::registration::descriptions();
    assert!(!components.is_empty(), "this test registers no component: add `use my_plugin as _;` to it");
    let module = library::module("the test's own binary", env!("CARGO_PKG_VERSION"));
    let checks = check_library(module, &components, Device::Cpu, &mut Silent);
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| matches!(check.verdict, Verdict::Failed(_)))
        .map(|check| format!("  {}\n    {check}", check.component))
        .collect();
    assert!(failed.is_empty(), "{} of {} checks failed:\n{}", failed.len(), checks.len(), failed.join("\n"));
}

/// A malformed tensor makes libtorch's functions panic in the check itself; that is a finding too.
fn verdict(body: impl FnOnce() -> Finding) -> Verdict {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(Reason::Absent(why))) => Verdict::Skipped(why),
        Ok(Err(Reason::Wrong(why))) => Verdict::Failed(why),
        Err(payload) => Verdict::Failed(panic_message(&*payload)),
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    format!("its answer cannot be worked with: {}", without_trace(&text))
}
