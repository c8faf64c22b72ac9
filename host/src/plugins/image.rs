//! A library's file, looked at before the system's loader is: that one maps whatever it is given, and a file that ends
//! too early ends the process, not the call.

use std::path::Path;

/// Refuses a file that is no whole shared library for this machine, where the format is known (ELF, 64 bits).
///
/// # Errors
/// One sentence that says what the file is.
pub fn check(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    if cfg!(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")) {
        elf(&bytes)
    } else {
        Ok(())
    }
}

const MAGIC: &[u8] = b"\x7fELF";
const SHARED: u64 = 3;
const RELOCATABLE: &str = "it is a program or an object file, not a shared library: set crate-type = [\"cdylib\"]";

/// ELF's number for the machine that this host was built for, and for others that are common.
const MACHINES: &[(u64, &str)] = &[(62, "x86_64"), (183, "aarch64"), (243, "riscv64"), (3, "x86"), (40, "arm")];

fn elf(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(MAGIC) {
        return Err("it cannot be opened: it is no shared library".into());
    }
    let cut = || "it is cut off: copy or build it again".to_owned();
    let at = |offset: usize, size: usize| number(bytes, offset, size).ok_or_else(cut);
    if at(4, 1)? != 2 || at(5, 1)? != 1 {
        return Err("it was built for a machine of another word size or byte order".into());
    }
    let machine = at(18, 2)?;
    let name = |number: u64| MACHINES.iter().find(|(it, _)| *it == number).map_or("another machine", |(_, name)| name);
    if name(machine) != std::env::consts::ARCH {
        return Err(format!("it was built for {}, and this machine is {}", name(machine), std::env::consts::ARCH));
    }
    if at(16, 2)? != SHARED {
        return Err(RELOCATABLE.into());
    }
    let (headers, size, count) = (at(32, 8)?, at(54, 2)?, at(56, 2)?);
    for index in 0..count {
        let header = headers.checked_add(index * size).and_then(|it| usize::try_from(it).ok()).ok_or_else(cut)?;
        let end = at(header.saturating_add(8), 8)?.checked_add(at(header.saturating_add(32), 8)?);
        if end.is_none_or(|end| end > bytes.len() as u64) {
            return Err(cut());
        }
    }
    Ok(())
}

/// A little-endian number of `size` bytes.
fn number(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    let digits = bytes.get(offset..offset.checked_add(size)?)?;
    Some(digits.iter().rev().fold(0, |number, &digit| number << 8 | u64::from(digit)))
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_whole_file_passes_and_every_shorter_one_is_cut_off() {
        let bytes = own(); // a program that can lie anywhere is a shared object too
        assert_eq!(elf(&bytes), Ok(()));
        for length in [4, 17, 40, 63, 64, 100, 1_000, bytes.len() / 2] {
            let refused = elf(&bytes[..length]).unwrap_err();
            assert!(refused.contains("cut off"), "{length}: {refused}");
        }
    }

    #[test]
    fn what_is_for_another_machine_or_no_library_is_refused() {
        let changed = |offset: usize, value: u8| {
            let mut bytes = own();
            bytes[offset] = value;
            elf(&bytes).unwrap_err()
        };
        assert!(changed(18, 243).contains("riscv64"));
        assert!(changed(4, 1).contains("word size"));
        assert!(changed(16, 1).contains("cdylib"));
        assert!(changed(0, 0).contains("no shared library"));
    }
}
