//! The comparison: the same tasks through the Python libraries, by a script that prints `name  seconds s  what`.

use super::memory::peak_of;
use super::{Sizes, Timing};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;
use tch::Device;

/// Runs the script named by the first argument under bf16 autocast on the device of the second.
const AUTOCAST: &str = "import runpy, sys, torch
device, sys.argv = sys.argv[1], sys.argv[2:]
with torch.autocast(device, torch.bfloat16):
    runpy.run_path(sys.argv[0], run_name='__main__')";

/// Reads a data set with RecBole.
const LOADING: &str = include_str!("recbole_loading.py");

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

/// What a script printed, what it held, and what it complained of where it failed.
pub struct Outcome {
    /// The lines `name  seconds s  what`.
    pub timings: Vec<Timing>,
    /// Most bytes that it held, where the system tells.
    pub peak: Option<u64>,
    /// Its standard error, if it failed.
    pub complaint: Option<String>,
}

impl Python {
    /// Times `task` at `sizes`; under bf16 autocast where `sizes` asks for bf16. One process a task, so that its peak of
    /// memory is the task's.
    ///
    /// # Errors
    /// The interpreter does not start, or the script fails.
    pub fn time(&self, task: &str, sizes: &Sizes) -> Result<Option<Timing>> {
        let outcome = self.outcome(&mut self.command(task, sizes))?;
        if let Some(complaint) = outcome.complaint {
            bail!("the comparison failed:\n{complaint}");
        }
        let timing = outcome.timings.into_iter().find(|timing| timing.name == task);
        Ok(timing.map(|timing| Timing { peak: outcome.peak, ..timing }))
    }

    /// Times how RecBole reads the data set `name` in the folder `parent` and prepares it for a sequential model.
    ///
    /// # Errors
    /// The interpreter does not start.
    pub fn load(&self, parent: &Path, name: &str) -> Result<Outcome> {
        let mut command = self.interpreter();
        command.args(["-c", LOADING]).arg(parent).arg(name);
        // RecBole leaves a folder for logs where it runs.
        command.current_dir(parent);
        self.outcome(&mut command)
    }

    fn outcome(&self, command: &mut Command) -> Result<Outcome> {
        let child = command.spawn();
        let mut child = child.with_context(|| format!("starting {}", self.interpreter.display()))?;
        // Both pipes are read while the script runs, or it would wait once one is full.
        let [output, complaint] = [
            child.stdout.take().map(|it| thread::spawn(move || read(it))),
            child.stderr.take().map(|it| thread::spawn(move || read(it))),
        ];
        let peak = watch(&mut child)?;
        let text = |reader: Option<JoinHandle<String>>| reader.and_then(|it| it.join().ok()).unwrap_or_default();
        let (output, complaint) = (text(output), text(complaint));
        let failed = !child.wait()?.success();
        Ok(Outcome {
            timings: output.lines().filter_map(parse).collect(),
            peak,
            complaint: failed.then_some(complaint),
        })
    }

    fn interpreter(&self) -> Command {
        let mut command = Command::new(&self.interpreter);
        // The library path that finds this program's libtorch would give Python another one than its own.
        command.env_remove("LD_LIBRARY_PATH");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn command(&self, task: &str, sizes: &Sizes) -> Command {
        let device = if sizes.device == Device::Cpu { "cpu" } else { "cuda" };
        let mut command = self.interpreter();
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
        command
    }
}

/// All that comes, as far as it is text.
fn read(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the end and gives the most memory that was held.
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
