//! `plugin check`: a library opened and tried in a process of its own, so that whatever it does ends that process only.

use super::library::{self, Library};
use anyhow::{Context, Result, bail};
use prorl_testkit::conformance::{self, Check, Listener, Verdict};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use tch::Device;

/// A library that has not ended by then hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// How the process ends that found nothing wrong: not 0, which a library that calls `exit` would leave too.
pub const PASSED: u8 = 64;

/// Starts this program anew, with these further flags, to check the library at `path`.
///
/// # Errors
/// A check fails, or the process ends otherwise than it should.
pub fn in_a_process(path: &Path, flags: &[&str]) -> Result<()> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = Command::new(program);
    command.args(["plugin", "check-here"]).args(flags).arg("--").arg(path);
    let mut child = command.spawn().context("cannot start a process for the check")?;
    let started = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if started.elapsed() > LIMIT => {
                child.kill()?;
                child.wait()?;
                bail!("the library hangs in what is named last above: it was ended after {} s", LIMIT.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    match status.code() {
        Some(code) if code == i32::from(PASSED) => Ok(()),
        Some(1 | 2) => bail!("{} does not pass", path.display()),
        _ => bail!("the library ended its process in what is named last above ({})", ending(status)),
    }
}

fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return format!("signal {signal}");
        }
    }
    status.to_string()
}

/// Checks the library at `path` in this process, prints every check, and ends the process with [`PASSED`].
///
/// # Errors
/// The library cannot be used, or a check fails.
pub fn here(path: &Path, device: Device) -> Result<()> {
    let library = library::open(path)?;
    print_library(&library)?;
    let mut console = Console { component: String::new() };
    let checks = conformance::check_library(library.module, &library.components, device, &mut console);
    if library.components.is_empty() {
        bail!("it offers no component: put a `prorl_sdk::register_…!` line beside each implementation");
    }
    let count = |wanted: fn(&Verdict) -> bool| checks.iter().filter(|check| wanted(&check.verdict)).count();
    let failed = count(|it| matches!(it, Verdict::Failed(_)));
    let skipped = count(|it| matches!(it, Verdict::Skipped(_)));
    println!("\n{} passed, {failed} failed, {skipped} skipped", checks.len() - failed - skipped);
    if failed > 0 {
        bail!("{failed} of {} checks failed", checks.len());
    }
    std::process::exit(i32::from(PASSED))
}

fn print_library(library: &Library) -> Result<()> {
    println!("{} {} ({})", library.package, library.version, library.path.display());
    println!("  ABI {}, SDK {}, libtorch {}: fits this host", library.abi, library.sdk_version, library.libtorch);
    println!("  SHA-256 {}", library.hash()?);
    for component in &library.components {
        let names = component.defaults.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
        let parameters = names.filter(|it| !it.is_empty()).map_or_else(|| "none".into(), |it| it.join(", "));
        println!("  {} `{}`: {}", component.kind, component.name, component.doc);
        println!("    parameters: {parameters}");
    }
    Ok(())
}

/// Prints a check's name before it runs, so that the last line tells where a process ended.
struct Console {
    component: String,
}

impl Listener for Console {
    fn begins(&mut self, component: &str, check: &'static str) {
        if self.component != component {
            println!("\n{component}");
            component.clone_into(&mut self.component);
        }
        print!("  {check} … ");
        // A terminal that is gone does not matter to the check.
        let _ = std::io::stdout().flush();
    }

    fn ends(&mut self, check: &Check) {
        match &check.verdict {
            Verdict::Passed => println!("pass"),
            Verdict::Skipped(why) => println!("skip: {why}"),
            Verdict::Failed(why) => println!("FAIL\n      {why}"),
        }
    }
}
