//! A process of its own for a library that is not known yet: whatever it does ends that process only.

use anyhow::{Context, Result};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// A library that has not ended by then hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// How the process ends that found nothing wrong: not 0, which a library that calls `exit` would leave too.
pub const PASSED: u8 = 64;

/// How such a process ended.
pub enum Ended {
    /// With nothing wrong.
    Passed,
    /// With an error that it has told.
    Refused,
    /// By a signal, or in a way that is not this program's.
    Otherwise(String),
    /// It had to be ended, after so many seconds.
    Hangs(u64),
}

/// This program anew, with a hidden command of `plugin`.
///
/// # Errors
/// The system does not say which program this is.
pub fn command(verb: &str) -> Result<Command> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = Command::new(program);
    command.args(["plugin", verb]);
    Ok(command)
}

/// Waits for the process.
///
/// # Errors
/// The system cannot tell how it fares.
pub fn ended(mut child: Child) -> Result<Ended> {
    let started = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(meaning(status)),
            None if started.elapsed() > LIMIT => {
                child.kill()?;
                child.wait()?;
                return Ok(Ended::Hangs(LIMIT.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn meaning(status: ExitStatus) -> Ended {
    match status.code() {
        Some(code) if code == i32::from(PASSED) => Ended::Passed,
        Some(1 | 2) => Ended::Refused,
        _ => Ended::Otherwise(words(status)),
    }
}

fn words(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return format!("signal {signal}");
        }
    }
    status.to_string()
}
