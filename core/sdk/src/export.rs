//! From an author's plain trait to what the host loads.
//!
//! `register_…!` puts a component into the library's list; `export_plugin!` gives the library its hello
//! record and root module. Authors need nothing else of this module.

pub mod adapters;
pub mod description;
pub mod guard;
pub mod library;
pub mod logs;
pub mod registration;

/// The SDK's version, as the hello record holds it.
pub const SDK_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Registers a [`Tokenizer`](crate::tokenizer::Tokenizer): name, one sentence, type.
#[macro_export]
macro_rules! register_tokenizer {
    ($name:literal, $doc:literal, $type:ty) => {
        $crate::inventory::submit! {
            $crate::export::registration::Registration::tokenizer::<$type>($name, $doc)
                .of_package(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
        }
    };
}

/// Registers a [`RewardModel`](crate::reward_model::RewardModel): name, one sentence, type.
#[macro_export]
macro_rules! register_reward_model {
    ($name:literal, $doc:literal, $type:ty) => {
        $crate::inventory::submit! {
            $crate::export::registration::Registration::reward_model::<$type>($name, $doc)
                .of_package(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
        }
    };
}

/// Registers a [`Policy`](crate::policy::Policy): name, one sentence, type.
#[macro_export]
macro_rules! register_policy {
    ($name:literal, $doc:literal, $type:ty) => {
        $crate::inventory::submit! {
            $crate::export::registration::Registration::policy::<$type>($name, $doc)
                .of_package(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
        }
    };
}

/// Registers an [`Algorithm`](crate::algorithm::Algorithm): name, one sentence, type.
#[macro_export]
macro_rules! register_algorithm {
    ($name:literal, $doc:literal, $type:ty) => {
        $crate::inventory::submit! {
            $crate::export::registration::Registration::algorithm::<$type>($name, $doc)
                .of_package(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
        }
    };
}

/// Makes the library a plugin: once, in its `lib.rs`.
#[macro_export]
macro_rules! export_plugin {
    () => {
        struct PluginLoader;

        impl $crate::abi::module::Loader for PluginLoader {
            fn load() -> $crate::abi::module::PluginModuleRef {
                $crate::export::library::module(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            }
        }

        static PLUGIN_HEADER: $crate::abi::module::Header = $crate::abi::module::header::<PluginLoader>();

        /// What the host reads before it calls anything.
        // The symbol is unmangled so that it can be found, which the language counts as unsafe.
        #[allow(unsafe_code)]
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub static PRORL_PLUGIN_HELLO: $crate::abi::hello::Hello = $crate::abi::hello::Hello::new(
            $crate::abi::hello::Text::literal(concat!(env!("CARGO_PKG_NAME"), "\0")),
            $crate::abi::hello::Text::literal(concat!(env!("CARGO_PKG_VERSION"), "\0")),
            $crate::abi::hello::Text::literal($crate::export::SDK_VERSION),
            &PLUGIN_HEADER,
        );
    };
}
