//! One shared library: its hello record is read and checked before anything of it is called.
#![allow(unsafe_code)]

use super::{PluginError, Result, image, trust};
use prorl_abi::RStr;
use prorl_abi::hello::{HELLO_SYMBOL, Hello, MAGIC};
use prorl_abi::module::{self, PluginModuleRef};
use prorl_abi::object::{LogSink, LogSink_TO, OPAQUE};
use prorl_sdk::export::description::Description;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A library's hello record, read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloFacts {
    /// Package name.
    pub package: String,
    /// Package version.
    pub version: String,
    /// Version of what crosses the boundary.
    pub abi_version: u32,
    /// Version of the SDK it was built with.
    pub sdk_version: String,
    /// Target it was built for.
    pub target: String,
    /// libtorch it was built for.
    pub libtorch: String,
    /// `unwind` or `abort`.
    pub panic: String,
}

/// An opened library.
pub struct Library {
    /// Where it lies: a file of its own, or the program that it is linked into.
    pub path: PathBuf,
    /// Whether it is linked into this program.
    pub built_in: bool,
    /// What it says of itself before anything is called.
    pub hello: HelloFacts,
    /// What it contains.
    pub components: Vec<Description>,
    /// Its functions.
    pub module: PluginModuleRef,
}

impl From<&Hello> for HelloFacts {
    fn from(hello: &Hello) -> Self {
        Self {
            package: hello.package.read(),
            version: hello.version.read(),
            abi_version: hello.abi_version,
            sdk_version: hello.sdk_version.read(),
            target: hello.target.read(),
            libtorch: hello.libtorch.read(),
            panic: if hello.panic_unwinds == 0 { "abort".into() } else { "unwind".into() },
        }
    }
}

struct ToLogger;

impl LogSink for ToLogger {
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) {
        log::log!(target: target.as_str(), prorl_sdk::export::logs::level(level), "{message}");
    }
}

/// Opens the library at `path`.
///
/// # Errors
/// It cannot be opened, is no plugin, or does not fit this host; one line that says what to do.
pub fn open(path: &Path) -> Result<Library> {
    let refuse = |reason: String| PluginError::Load { path: path.to_owned(), reason };
    trust::check(path).and_then(|()| image::check(path)).map_err(refuse)?;
    let hello = read_hello(path).map_err(refuse)?;
    hello.check().map_err(refuse)?;
    let module = module::open(hello).map_err(|report| {
        log::debug!("abi_stable's report on {}:\n{report}", path.display());
        let reason = "its layout differs from this host's although the ABI version is the same: rebuild it against this host's SDK (-vv prints abi_stable's report)";
        refuse(reason.into())
    })?;
    let sink = LogSink_TO::from_ptr(prorl_abi::RBox::new(ToLogger), OPAQUE);
    module.connect()(sink, log::max_level() as u32);
    let components: Vec<Description> = serde_json::from_str(&module.describe()())
        .map_err(|error| refuse(format!("its list of components cannot be read: {error}")))?;
    if let Some(name) = repeated(&components) {
        return Err(refuse(format!("it offers `{name}` twice: give each component of a library a name of its own")));
    }
    Ok(Library { path: path.to_owned(), built_in: false, hello: hello.into(), components, module })
}

/// A name that two components share, of whatever kind: parameters are asked for by name alone.
fn repeated(components: &[Description]) -> Option<&str> {
    let mut names: Vec<&str> = components.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// The hello record; the library stays open for as long as the process lives.
fn read_hello(path: &Path) -> std::result::Result<&'static Hello, String> {
    // SAFETY: opening a library runs its initialisers. The user chose it, or it lies beside the binary; there
    // is no way to read a symbol without opening it.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("it cannot be opened: {error}{cause}")
    })?;
    let library: &'static libloading::Library = Box::leak(Box::new(library));
    // SAFETY: only the address is taken here; its first bytes are compared before it is read as a record.
    let symbol = unsafe { library.get::<*const Hello>(HELLO_SYMBOL.as_bytes()) }
        .map_err(|_| format!("it is a shared library but no prorl plugin (it has no symbol {HELLO_SYMBOL})"))?;
    let address: *const Hello = *symbol;
    // SAFETY: the symbol is a static of at least this size in every version of the record; bytes have no
    // invalid values.
    let magic = unsafe { address.cast::<[u8; 8]>().read() };
    if magic != MAGIC {
        return Err(format!("its symbol {HELLO_SYMBOL} is no hello record"));
    }
    // SAFETY: the magic bytes are right, so the record was made by some version of `prorl-abi`, whose layout
    // only grows at the end; it is static and the library is never closed.
    Ok(unsafe { &*address })
}
