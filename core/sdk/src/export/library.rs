//! The library's root module.

use crate::error::{Error, Result};
use crate::export::guard::{guarded, remember_panics};
use crate::export::registration::{self, Maker, Registration};
use prorl_abi::module::{PluginModule, PluginModuleRef};
use prorl_abi::object::{AlgorithmBox, LogSinkBox, Outcome, PolicyBox, RewardModelBox, TokenizerBox};
use prorl_abi::record::Record;
use prorl_abi::{RStr, RString};
use std::sync::OnceLock;

static LIBRARY: OnceLock<String> = OnceLock::new();

/// Package and version, e.g. `prorl-plugin-t5 0.1.0`.
pub fn name() -> String {
    LIBRARY.get().cloned().unwrap_or_else(|| "(not loaded as a plugin)".into())
}

/// The root module; called once, through `export_plugin!`.
pub fn module(package: &str, version: &str) -> PluginModuleRef {
    LIBRARY.get_or_init(|| format!("{package} {version}"));
    PluginModule { connect, describe, complete, tokenizer, reward_model, policy, algorithm }.leak()
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
