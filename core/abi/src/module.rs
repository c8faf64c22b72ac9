//! A library's root module: what it contains, and how to make it.
#![allow(unsafe_code)]

use crate::hello::Hello;
use crate::object::{AlgorithmBox, LogSinkBox, Outcome, PolicyBox, RewardModelBox, TokenizerBox};
use crate::record::Record;
use abi_stable::StableAbi;
use abi_stable::library::{AbiHeaderRef, CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::package_version_strings;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RStr, RString};

pub use abi_stable::library::LibHeader as Header;

/// What a library offers, behind plain functions.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    /// Called once: where log records go, and the most verbose level wanted.
    pub connect: extern "C" fn(sink: LogSinkBox, level: u32),
    /// Descriptions of all components as a JSON list (see the SDK's `Description`).
    pub describe: extern "C" fn() -> RString,
    /// Parameters (JSON) checked and completed with defaults, as JSON.
    pub complete: extern "C" fn(component: RStr<'_>, parameters: RStr<'_>) -> Outcome<RString>,
    /// A tokenizer by name, from parameters (JSON) and set-up.
    pub tokenizer: extern "C" fn(RStr<'_>, RStr<'_>, Record) -> Outcome<TokenizerBox>,
    /// A reward model.
    pub reward_model: extern "C" fn(RStr<'_>, RStr<'_>, Record) -> Outcome<RewardModelBox>,
    /// A policy.
    pub policy: extern "C" fn(RStr<'_>, RStr<'_>, Record) -> Outcome<PolicyBox>,
    /// An algorithm.
    #[sabi(last_prefix_field)]
    pub algorithm: extern "C" fn(RStr<'_>, RStr<'_>, Record) -> Outcome<AlgorithmBox>,
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "prorl_plugin";
    const NAME: &'static str = "prorl_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

impl PluginModule {
    /// The module in the form in which it crosses; it lives as long as the process.
    pub fn leak(self) -> PluginModuleRef {
        self.leak_into_prefix()
    }
}

/// Makes the root module of one library.
pub trait Loader {
    /// The module; called once, by abi_stable.
    fn load() -> PluginModuleRef;
}

extern "C" fn construct<L: Loader>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(L::load)
}

/// The header of a library, for its hello record.
pub const fn header<L: Loader>() -> LibHeader {
    // SAFETY: `construct` returns what `__call_root_module_loader` made of a `PluginModuleRef`.
    unsafe { LibHeader::from_constructor::<PluginModuleRef>(construct::<L>, CheckTypeLayout::Yes) }
}

/// The module behind a hello record that passed its check.
///
/// # Errors
/// abi_stable finds the layouts to differ; its whole report (hundreds of lines).
pub fn open(hello: &'static Hello) -> Result<PluginModuleRef, String> {
    // SAFETY: `AbiHeaderRef` is a transparent reference to the header with which every `LibHeader`
    // begins; abi_stable reads the same pointer from a library's symbol.
    let header: AbiHeaderRef = unsafe { std::mem::transmute::<&'static LibHeader, AbiHeaderRef>(hello.header) };
    header
        .upgrade()
        .and_then(|library| library.init_root_module::<PluginModuleRef>())
        .map_err(|error| error.to_string())
}
