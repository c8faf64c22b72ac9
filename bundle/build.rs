//! Lets several plugins be linked into one program.
//!
//! Each plugin exports its hello record under the same name, by which a host finds it in a library. Linked into one
//! program, these records clash, and nobody reads them: the linker may keep any. To leave them out by a feature instead
//! would have cargo write plugins without a hello record over those beside the program, since all builds of a library
//! share one file.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,muldefs");
}
