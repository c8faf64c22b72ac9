//! The hello record: the first thing the host reads of a library.
//!
//! It is plain `#[repr(C)]` data behind one exported symbol, so that a library which does not fit can
//! be refused in one line before any code of it is called. Its layout may only grow at the end.
#![allow(unsafe_code)]

use abi_stable::library::LibHeader;
use std::ffi::c_char;

/// Name of the exported static of type [`Hello`].
pub const HELLO_SYMBOL: &str = "PRORL_PLUGIN_HELLO";

/// First bytes of every hello record.
pub const MAGIC: [u8; 8] = *b"PRORLPLG";

/// Version of everything in this crate that crosses; a plugin must have the host's.
pub const ABI_VERSION: u32 = 1;

/// libtorch that this crate's `tch` is made for.
pub const LIBTORCH_VERSION: &str = "2.11.0";

/// Nul-terminated text in the library's read-only data.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text(*const c_char);

// SAFETY: points to immutable data with static lifetime.
unsafe impl Sync for Text {}
// SAFETY: as above.
unsafe impl Send for Text {}

impl Text {
    /// A text from a literal that ends with a nul character.
    pub const fn literal(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty() && bytes[bytes.len() - 1] == 0, "must end with a nul character");
        Self(text.as_ptr().cast())
    }

    /// The text.
    pub fn read(self) -> String {
        // SAFETY: made by `literal`, so it ends with a nul character and lives as long as the library,
        // which is never unloaded.
        unsafe { std::ffi::CStr::from_ptr(self.0) }.to_string_lossy().into_owned()
    }
}

/// What a library says of itself before anything is called.
#[repr(C)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`ABI_VERSION`] of the SDK it was built with.
    pub abi_version: u32,
    /// 1 where a panic unwinds (and can be turned into an error), 0 where it aborts.
    pub panic_unwinds: u32,
    /// Version of the SDK.
    pub sdk_version: Text,
    /// Target triple, e.g. `x86_64-linux`.
    pub target: Text,
    /// libtorch it was built for.
    pub libtorch: Text,
    /// Library's package name.
    pub package: Text,
    /// Library's version.
    pub version: Text,
    /// The module behind it, for abi_stable; called only when all of the above fits.
    pub header: &'static LibHeader,
}

/// `arch-os` of this build.
pub const TARGET: &str = const_target();

const fn const_target() -> &'static str {
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        "x86_64-linux\0"
    } else if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        "aarch64-linux\0"
    } else if cfg!(all(target_arch = "aarch64", target_os = "macos")) {
        "aarch64-macos\0"
    } else {
        "other\0"
    }
}

impl Hello {
    /// The record of a library; used by the SDK's `export_plugin!`.
    pub const fn new(package: Text, version: Text, sdk_version: Text, header: &'static LibHeader) -> Self {
        Self {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            panic_unwinds: cfg!(panic = "unwind") as u32,
            sdk_version,
            target: Text::literal(TARGET),
            libtorch: Text::literal("2.11.0\0"),
            package,
            version,
            header,
        }
    }

    /// Whether the host can use this library.
    ///
    /// # Errors
    /// One line with both values and what to do.
    pub fn check(&self) -> Result<(), String> {
        let rebuild = "rebuild it against this host's SDK";
        if self.magic != MAGIC {
            return Err("its hello record is damaged: it is no prorl plugin".into());
        }
        if self.abi_version != ABI_VERSION {
            let older = if self.abi_version < ABI_VERSION { "the plugin" } else { "the host" };
            return Err(format!(
                "it speaks plugin ABI {} and the host {ABI_VERSION} ({older} is older): {rebuild}",
                self.abi_version
            ));
        }
        let ours = TARGET.trim_end_matches('\0');
        if self.target.read() != ours {
            return Err(format!("it was built for {} and the host for {ours}: {rebuild}", self.target.read()));
        }
        if self.libtorch.read() != LIBTORCH_VERSION {
            return Err(format!(
                "it was built for libtorch {} and the host for {LIBTORCH_VERSION}: {rebuild}",
                self.libtorch.read()
            ));
        }
        if self.panic_unwinds == 0 {
            return Err(
                "it was built with panic = \"abort\" and the host needs \"unwind\": remove that line from its profile and rebuild it"
                    .into(),
            );
        }
        Ok(())
    }
}
