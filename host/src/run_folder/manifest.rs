//! Where a run's results come from: who started what, when, on which machine, with which code.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The libtorch that tch 0.24 binds.
pub use prorl_abi::hello::LIBTORCH_VERSION;

/// The contents of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When the run started, in UTC: `2026-11-23T06-20-00`.
    pub started: String,
    /// The command with its arguments.
    pub command_line: Vec<String>,
    /// Where it was given.
    pub working_folder: PathBuf,
    /// The seed all random streams follow from.
    pub seed: u64,
    /// SHA-256 of the data.
    pub data_hash: String,
    /// The host's version.
    pub host: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// The plugins used.
    pub plugins: Vec<PluginOrigin>,
    /// The machine.
    pub machine: Machine,
    /// The revision of the working folder, where it is in a git repository.
    pub git: Option<Git>,
    /// Later resumptions.
    #[serde(default)]
    pub resumed: Vec<Resumption>,
}

/// A component that took part, and the library it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginOrigin {
    /// `tokenizer`, `reward-model`, `policy` or `algorithm`.
    pub kind: String,
    /// The component's name.
    pub name: String,
    /// The library's package.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The version of the SDK it was built with.
    pub sdk: String,
    /// The library's file.
    pub file: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// A machine, as far as it matters for speed and for numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Operating system and architecture, e.g. `linux x86_64`.
    pub platform: String,
    /// Processors this process may use.
    pub processors: usize,
    /// Their model.
    pub processor: Option<String>,
    /// Main memory in MiB.
    pub memory_mib: Option<u64>,
    /// The models of NVIDIA's accelerators.
    pub accelerators: Vec<String>,
}

/// A revision in git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit's hash.
    pub revision: String,
    /// Whether tracked files differ from it.
    pub modified: bool,
}

/// A run taken up again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// When, in UTC.
    pub time: String,
    /// The command with its arguments.
    pub command_line: Vec<String>,
    /// The host's version.
    pub host: String,
}

impl Manifest {
    /// The manifest of a run that starts now, in this process.
    pub fn new(seed: u64, data_hash: &str, plugins: Vec<PluginOrigin>) -> Self {
        Self {
            started: utc_time(),
            command_line: command_line(),
            working_folder: std::env::current_dir().unwrap_or_default(),
            seed,
            data_hash: data_hash.to_owned(),
            host: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: LIBTORCH_VERSION.to_owned(),
            plugins,
            machine: Machine::this(),
            git: Git::here(),
            resumed: Vec::new(),
        }
    }
}

impl Resumption {
    /// A resumption now, by this process.
    pub fn now() -> Self {
        Self { time: utc_time(), command_line: command_line(), host: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl Machine {
    /// The machine this process runs on; what cannot be found out stays empty.
    pub fn this() -> Self {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let os = std::env::consts::OS;
        Self {
            name: name.trim().to_owned(),
            platform: format!("{os} {}", std::env::consts::ARCH),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            memory_mib: memory_mib(),
            accelerators: accelerators(),
        }
    }
}

impl Git {
    /// The revision of the current folder.
    pub fn here() -> Option<Self> {
        Self::of(Path::new("."), None)
    }

    /// The same where one file, which a program keeps for itself in the checkout, may differ from the revision.
    pub fn apart_from(file: &Path) -> Option<Self> {
        Self::of(Path::new("."), Some(file))
    }

    pub(super) fn of(folder: &Path, kept: Option<&Path>) -> Option<Self> {
        const STATUS: [&str; 3] = ["status", "--porcelain", "--untracked-files=no"];
        let revision = git(folder, &["rev-parse", "HEAD"])?;
        let apart = kept.and_then(|file| {
            let file = format!(":(exclude,literal){}", file.to_str()?);
            git(folder, &[&STATUS[..], &["--", ":(top)", &file]].concat()) // refused for files outside the checkout
        });
        let changes = apart.or_else(|| git(folder, &STATUS))?;
        Some(Self { revision, modified: !changes.is_empty() })
    }
}

/// Now, in UTC, fit for a file name: `2026-11-23T06-20-00`.
pub(crate) fn utc_time() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H-%M-%S").to_string()
}

/// Arguments that are no UTF-8 are shown with replacement characters.
fn command_line() -> Vec<String> {
    let arguments = std::env::args_os();
    arguments.map(|argument| argument.to_string_lossy().into_owned()).collect()
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The value of the first line `name : value` of a file under /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let entries = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = entries.filter(|(key, _)| key.trim() == name);
    values.next().map(|(_, value)| value.trim().to_owned())
}

fn memory_mib() -> Option<u64> {
    let total = field("/proc/meminfo", "MemTotal")?;
    let kib: u64 = total.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

fn accelerators() -> Vec<String> {
    let devices = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten();
    let files = devices.flatten().map(|device| device.path().join("information"));
    files.filter_map(|file| field(&file.to_string_lossy(), "Model")).collect()
}
