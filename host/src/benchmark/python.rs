//! The comparison: the same tasks through the Python libraries, by a script that prints `name  seconds s  what`.

use super::memory::peak_of;
use super::{Sizes, Timing};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tch::Device;

/// Runs the script named by the first argument under bf16 autocast on the device of the second.
const AUTOCAST: &str = "import runpy, sys, torch
device, sys.argv = sys.argv[1], sys.argv[2:]
with torch.autocast(device, torch.bfloat16):
    runpy.run_path(sys.argv[0], run_name='__main__')";

/// Between two looks at the memory of the script.
const LOOK: Duration = Duration::from_millis(20);

/// A Python and the script.
pub struct Python {
    /// The interpreter; it has torch, transformers and recbole.
    pub interpreter: PathBuf,
    /// The script.
    pub script: PathBuf,
    /// Threads that torch computes with.
    pub threads: i32,
}

impl Python {
    /// Times `task` at `sizes`; under bf16 autocast where `sizes` asks for bf16. One process a task, so that its peak of
    /// memory is the task's.
    ///
    /// # Errors
    /// The interpreter does not start, or the script fails.
    pub fn time(&self, task: &str, sizes: &Sizes) -> Result<Option<Timing>> {
        let mut child = self.command(task, sizes).spawn();
        let child = child.as_mut().map_err(|error| anyhow::anyhow!("{error}"));
        let child = child.with_context(|| format!("starting {}", self.interpreter.display()))?;
        let peak = watch(child)?;
        let (mut output, mut complaint) = (String::new(), String::new());
        child.stdout.take().map_or(Ok(0), |mut it| it.read_to_string(&mut output))?;
        child.stderr.take().map_or(Ok(0), |mut it| it.read_to_string(&mut complaint))?;
        if !child.wait()?.success() {
            bail!("the comparison failed:\n{complaint}");
        }
        let timing = output.lines().filter_map(parse).find(|timing| timing.name == task);
        Ok(timing.map(|timing| Timing { peak, ..timing }))
    }

    fn command(&self, task: &str, sizes: &Sizes) -> Command {
        let device = if sizes.device == Device::Cpu { "cpu" } else { "cuda" };
        let mut command = Command::new(&self.interpreter);
        if sizes.precision == "bf16" {
            command.args(["-c", AUTOCAST, device]);
        }
        command.arg(Path::new(&self.script)).args(["--device", device, "--only", task]);
        for (flag, value) in [
            ("--prompts", sizes.prompts),
            ("--group", sizes.group),
            ("--path-items", sizes.path_items),
            ("--repeats", sizes.repeats as i64),
            ("--threads", i64::from(self.threads)),
        ] {
            command.arg(flag).arg(value.to_string());
        }
        // The library path that finds this program's libtorch would give Python another one than its own.
        command.env_remove("LD_LIBRARY_PATH");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Waits for the end and gives the most memory that was held. What a task prints fits a pipe.
fn watch(child: &mut Child) -> Result<Option<u64>> {
    let process = child.id().to_string();
    let mut peak = None;
    while child.try_wait()?.is_none() {
        peak = peak_of(&process).or(peak);
        sleep(LOOK);
    }
    Ok(peak)
}

/// `name  seconds s  what`.
fn parse(line: &str) -> Option<Timing> {
    let mut words = line.split_whitespace();
    let (name, seconds) = (words.next()?, words.next()?.parse().ok()?);
    let unit = words.next()?;
    let what = words.collect::<Vec<_>>().join(" ");
    (unit == "s").then(|| Timing { name: name.into(), seconds, what, peak: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_of_the_script_are_understood_and_others_are_not() {
        let timing = parse("sample        1.025 s   32 prompts x 16 paths").unwrap();
        assert_eq!((timing.name.as_str(), timing.seconds), ("sample", 1.025));
        assert_eq!(timing.what, "32 prompts x 16 paths");
        assert!(parse("a warning of some library").is_none());
        assert!(parse("").is_none());
    }
}
