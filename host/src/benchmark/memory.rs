//! Most memory that a process has held, as Linux tells it.

use std::fs;

/// Forgets the most memory that this process has held so far, and what it keeps for the next tensor; without effect where
/// the system cannot.
pub fn forget_peak() {
    prorl_distributed::release_freed_memory();
    // "5" resets the high-water mark, see proc_pid_clear_refs(5).
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Most bytes that this process has held since [`forget_peak`]; none where the system does not tell.
pub fn peak() -> Option<u64> {
    peak_of("self")
}

/// The same of another process, since it began.
pub fn peak_of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kibibytes: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_peak_is_seen_and_forgotten() {
        const SIZE: usize = 256 << 20;
        let held = vec![1_u8; SIZE];
        let with = peak().unwrap();
        drop(std::hint::black_box(held));
        forget_peak();
        let without = peak().unwrap();
        assert!(with >= SIZE as u64 && without < with, "{with} then {without}");
    }
}
