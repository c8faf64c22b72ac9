//! One shared library: its hello record is read and checked before anything of it is called.
#![allow(unsafe_code)]

use super::{PluginError, Result, image, trust};
use prorl_abi::RStr;
use prorl_abi::hello::{HELLO_SYMBOL, Hello, MAGIC};
use prorl_abi::module::{self, PluginModuleRef};
use prorl_abi::object::{LogSink, LogSink_TO, OPAQUE};
use prorl_sdk::export::description::Description;
use std::path::{Path, PathBuf};

/// An opened library.
pub struct Library {
    /// Where it lies.
    pub path: PathBuf,
    /// Package name.
    pub package: String,
    /// Package version.
    pub version: String,
    /// Version of the SDK it was built with.
    pub sdk_version: String,
    /// Version of what crosses the boundary.
    pub abi: u32,
    /// libtorch it was built for.
    pub libtorch: String,
    /// What it contains.
    pub components: Vec<Description>,
    /// Its functions.
    pub module: PluginModuleRef,
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
    let components = serde_json::from_str(&module.describe()())
        .map_err(|error| refuse(format!("its list of components cannot be read: {error}")))?;
    Ok(Library {
        path: path.to_owned(),
        package: hello.package.read(),
        version: hello.version.read(),
        sdk_version: hello.sdk_version.read(),
        abi: hello.abi_version,
        libtorch: hello.libtorch.read(),
        components,
        module,
    })
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
