//! What crosses the boundary between host and plugin.
//!
//! The only crate that names `abi_stable`. It knows nothing of recommendation: tensors, records of
//! named values, faults, the hello record, and one frozen object trait for each kind of plugin.
//! Authors of plugins never see it; they write against `prorl-sdk`.
//!
//! | module | holds |
//! | --- | --- |
//! | [`tensor`] | a handle that owns one reference to an `at::Tensor` |
//! | [`record`] | named values: the arguments and results of every call |
//! | [`fault`] | an error that says plugin, component, call and reason |
//! | [`hello`] | the plain record that is read before anything else is called |
//! | [`object`] | the frozen traits: tokenizer, reward model, policy, algorithm |
//! | [`module`] | a library's root: what it contains, how to make it |
//! | [`cuda`] | libtorch's part for GPUs, which both sides use once it is opened |

pub mod cuda;
pub mod fault;
pub mod hello;
pub mod module;
pub mod object;
pub mod record;
pub mod tensor;

pub use abi_stable::std_types::RBox;
pub use abi_stable::std_types::{ROption, RResult, RStr, RString, RVec};
