//! Memory that tensors are made of: it lies here because this crate has the shim.
//!
//! The C library maps every large tensor's memory anew and gives it back when the tensor is freed, so the system clears
//! the same pages again and again: a fifth of the time of an update on two cores, which goes away when freed memory is
//! kept. And libtorch asks for blocks in a way that leaves holes between them, a third of the memory of imitation; here
//! tensors get blocks that fit what other tensors left.

use crate::Result;
use crate::calls;
use crate::error::DistributedError;

/// From here on memory that is freed stays with the process. Belongs at the beginning of a program, before its first
/// large tensor.
///
/// # Errors
/// The C library or libtorch refuses; the program works all the same, only slower.
pub fn keep_freed_memory() -> Result<()> {
    calls::keep_memory().map_err(DistributedError::Memory)
}

/// Gives the system back what was kept: between stages, which need different amounts.
pub fn release_freed_memory() {
    calls::release_memory();
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    /// Pages that this process holds, of 4 KiB.
    fn resident() -> u64 {
        let sizes = fs::read_to_string("/proc/self/statm").unwrap();
        sizes.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn freed_memory_stays_until_it_is_released() {
        // Larger than what the C library maps by itself, smaller than the arena of the thread that runs this test.
        const SIZE: usize = 32 << 20;
        const PAGES: u64 = (SIZE / 4096) as u64;
        keep_freed_memory().unwrap();
        let before = resident();
        let held = std::hint::black_box(vec![1_u8; SIZE]);
        let behind = std::hint::black_box(vec![1_u8; 1 << 20]);
        drop(held);
        let kept = resident();
        assert!(kept >= before + PAGES * 9 / 10, "{before} pages, then {kept}");
        release_freed_memory();
        let left = resident();
        assert!(left + PAGES / 2 <= kept, "{kept} pages, then {left}");
        drop(behind);
    }
}
