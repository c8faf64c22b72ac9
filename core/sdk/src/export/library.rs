//! The library's root module.

use crate::error::{Error, Result};
use crate::export::description::Description;
use crate::export::guard::{guarded, remember_panics};
use crate::export::registration::{self, Maker, Registration};
use prorl_abi::module::{PluginModule, PluginModuleRef};
use prorl_abi::object::{AlgorithmBox, LogSinkBox, Outcome, PolicyBox, RewardModelBox, TokenizerBox};
use prorl_abi::record::Record;
use prorl_abi::{RStr, RString};
use std::sync::OnceLock;

static LIBRARY: OnceLock<String> = OnceLock::new();

/// Package and version that a component belongs to, e.g. `prorl-plugin-t5 0.1.0`: this library's, or, where several
/// plugins are linked into one program, those it was registered with.
pub fn owner(component: &str) -> String {
    let registered = || registration::find(component).map(|it| format!("{} {}", it.package, it.version));
    LIBRARY.get().cloned().or_else(registered).unwrap_or_else(|| "(not loaded as a plugin)".into())
}

/// A plugin that is linked into the running program.
#[derive(Clone, Debug)]
pub struct Linked {
    /// Package name.
    pub package: &'static str,
    /// Package version.
    pub version: &'static str,
    /// What it contains.
    pub components: Vec<Description>,
}

/// The plugins that are linked into this program, by name. In a plugin that was opened as a library: itself.
pub fn linked() -> Vec<Linked> {
    let mut plugins: Vec<Linked> = Vec::new();
    for registration in registration::all() {
        let Registration { package, version, .. } = *registration;
        let at = plugins.iter().position(|it| it.package == package).unwrap_or_else(|| {
            plugins.push(Linked { package, version, components: Vec::new() });
            plugins.len() - 1
        });
        plugins[at].components.push((registration.describe)(registration));
    }
    plugins.sort_by_key(|it| it.package);
    plugins
}

/// The root module of what is linked into this program. Log records need no forwarding: program and plugins share a
/// logger.
pub fn linked_module() -> PluginModuleRef {
    remember_panics();
    functions().leak()
}

/// The root module; called once, through `export_plugin!`.
pub fn module(package: &str, version: &str) -> PluginModuleRef {
    LIBRARY.get_or_init(|| format!("{package} {version}"));
    functions().leak()
}

fn functions() -> PluginModule {
    PluginModule { connect, describe, complete, tokenizer, reward_model, policy, algorithm }
}

extern "C" fn connect(sink: LogSinkBox, level: u32) {
    remember_panics();
    crate::export::logs::forward(sink, level);
}

extern "C" fn describe() -> RString {
    let described = guarded("", "describe", || {
        serde_json::to_string(&registration::descriptions()).map_err(|error| Error::Boundary(error.to_string()))
    });
    described.into_result().unwrap_or_else(|_| "[]".into()).into()
}

extern "C" fn complete(component: RStr<'_>, parameters: RStr<'_>) -> Outcome<RString> {
    guarded(&component, "parameters", || {
        let completed = (find(&component)?.complete)(&parameters)?;
        Ok(completed.into())
    })
}

fn find(component: &str) -> Result<&'static Registration> {
    registration::find(component)
        .ok_or_else(|| Error::Unsupported(format!("this library has no component `{component}`")))
}

macro_rules! constructor {
    ($function:ident, $variant:ident, $box:ty, $kind:literal) => {
        extern "C" fn $function(component: RStr<'_>, parameters: RStr<'_>, setup: Record) -> Outcome<$box> {
            guarded(&component, "create", || {
                let registration = find(&component)?;
                match registration.maker {
                    Maker::$variant(make) => make(registration.name, &parameters, setup),
                    _ => Err(Error::Unsupported(format!("`{component}` is no {}", $kind))),
                }
            })
        }
    };
}

constructor!(tokenizer, Tokenizer, TokenizerBox, "tokenizer");
constructor!(reward_model, RewardModel, RewardModelBox, "reward model");
constructor!(policy, Policy, PolicyBox, "policy");
constructor!(algorithm, Algorithm, AlgorithmBox, "algorithm");
