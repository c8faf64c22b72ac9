//! `plugin check`: a library opened and tried in a process of its own, so that whatever it does ends that process only.

use super::child::{self, Ended, PASSED};
use super::library::{self, Library};
use crate::{out, outln};
use anyhow::{Context, Result, bail};
use prorl_testkit::conformance::{self, Check, Listener, Verdict};
use std::io::Write;
use std::path::Path;
use tch::Device;

/// Starts this program anew, with these further flags, to check the library at `path`.
///
/// # Errors
/// A check fails, or the process ends otherwise than it should.
pub fn in_a_process(path: &Path, flags: &[&str]) -> Result<()> {
    let mut started = child::command("check-here")?;
    started.args(flags).arg("--").arg(path);
    match child::ended(started.spawn().context("cannot start a process for the check")?)? {
        Ended::Passed => Ok(()),
        Ended::Refused => bail!("{} does not pass", path.display()),
        Ended::Otherwise(how) => bail!("the library ended its process in what is named last above ({how})"),
        Ended::Hangs(seconds) => {
            bail!("the library hangs in what is named last above: it was ended after {seconds} s")
        }
    }
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
    outln!("\n{} passed, {failed} failed, {skipped} skipped", checks.len() - failed - skipped);
    if failed > 0 {
        bail!("{failed} of {} checks failed", checks.len());
    }
    std::process::exit(i32::from(PASSED))
}

fn print_library(library: &Library) -> Result<()> {
    let hello = &library.hello;
    outln!("{} {} ({})", hello.package, hello.version, library.path.display());
    outln!("  ABI {}, SDK {}, libtorch {}: fits this host", hello.abi_version, hello.sdk_version, hello.libtorch);
    outln!("  SHA-256 {}", library.hash()?);
    for component in &library.components {
        let names = component.defaults.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
        let parameters = names.filter(|it| !it.is_empty()).map_or_else(|| "none".into(), |it| it.join(", "));
        outln!("  {} `{}`: {}", component.kind, component.name, component.doc);
        outln!("    parameters: {parameters}");
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
            outln!("\n{component}");
            component.clone_into(&mut self.component);
        }
        out!("  {check} … ");
        // A terminal that is gone does not matter to the check.
        let _ = std::io::stdout().flush();
    }

    fn ends(&mut self, check: &Check) {
        match &check.verdict {
            Verdict::Passed => outln!("pass"),
            Verdict::Skipped(why) => outln!("skip: {why}"),
            Verdict::Failed(why) => outln!("FAIL\n      {why}"),
        }
    }
}
