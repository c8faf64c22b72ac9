//! What the typed command line means: an action, and where its settings come from.

use super::{BenchFlags, Command, ConfigCommand, DataCommand, Flags, PluginCommand, Typed};
use crate::comparison::Order;
use crate::scaffold;
use crate::settings::{Assignment, DEFAULT_PRESET, Sources};
use log::LevelFilter;
use serde_json::Value;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// All that the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// Where settings come from.
    pub sources: Sources,
    /// The run to go on with.
    pub resume: Option<Resume>,
    /// Plugins named by the user, beside those that are found.
    pub plugins: Vec<PathBuf>,
    /// How many processes to start.
    pub processes: Option<usize>,
    /// How much to say.
    pub verbosity: Verbosity,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The whole experiment.
    Run,
    /// Figures of the data.
    DataStats,
    /// Write the generated world as files.
    DataGenerate {
        /// The folder to write to.
        out: PathBuf,
    },
    /// Train reward model and evaluators.
    TrainReward,
    /// Train the imitation policy.
    Pretrain,
    /// Train the policy on rewards.
    Rl,
    /// Measure a policy.
    Eval {
        /// Which.
        weights: PolicyWeights,
    },
    /// Compare variants over seeds.
    Bench(Order),
    /// Write the crate of a new plugin.
    PluginNew(scaffold::Order),
    /// Check a library in a process of its own.
    PluginCheck {
        /// The library.
        library: PathBuf,
        /// The device to check it on.
        device: String,
    },
    /// Check a library in this process.
    PluginCheckHere {
        /// The library.
        library: PathBuf,
        /// The device to check it on.
        device: String,
    },
    /// Say in this process what a library offers.
    PluginSurveyHere {
        /// The library.
        library: PathBuf,
    },
    /// Copy a library to the user's folder.
    PluginInstall {
        /// The library, or an archive of one.
        library: PathBuf,
    },
    /// Write a library as an archive.
    PluginPack {
        /// The library.
        library: PathBuf,
        /// The archive; named after the package where absent.
        out: Option<PathBuf>,
    },
    /// List components.
    PluginList,
    /// Describe a component.
    PluginInfo {
        /// Its name.
        name: String,
    },
    /// Print the settings.
    ConfigShow,
    /// Print versions.
    Version,
}

/// The policy that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyWeights {
    /// After imitation, before reinforcement learning.
    Imitation,
    /// After reinforcement learning.
    Rl,
    /// Weights in a file.
    File(PathBuf),
}

impl FromStr for PolicyWeights {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "imitation" => PolicyWeights::Imitation,
            "rl" => PolicyWeights::Rl,
            path => PolicyWeights::File(path.into()),
        })
    }
}

/// The run to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The latest under `runs`.
    Latest,
    /// That of this folder.
    Folder(PathBuf),
}

/// How much to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings, errors and the result.
    Quiet,
    /// What happens.
    #[default]
    Normal,
    /// Also why.
    Verbose,
    /// All.
    Everything,
}

impl Verbosity {
    /// The flag that asks for it.
    pub fn flag(self) -> Option<&'static str> {
        match self {
            Verbosity::Quiet => Some("-q"),
            Verbosity::Normal => None,
            Verbosity::Verbose => Some("-v"),
            Verbosity::Everything => Some("-vv"),
        }
    }

    /// The level of log records to show.
    pub fn level(self) -> LevelFilter {
        match self {
            Verbosity::Quiet => LevelFilter::Warn,
            Verbosity::Normal => LevelFilter::Info,
            Verbosity::Verbose => LevelFilter::Debug,
            Verbosity::Everything => LevelFilter::Trace,
        }
    }
}

impl Typed {
    /// What was typed, with these variables of the environment (see [`Sources::process_environment`]).
    pub fn meaning(self, environment: Vec<(String, String)>) -> Invocation {
        let (action, inner) = self.command.map_or_else(|| (Action::Run, Flags::default()), action);
        let flags = self.flags.then(inner);
        let names_its_preset = matches!(&action, Action::Bench(Order { grid: Some(_), .. }));
        Invocation {
            action,
            resume: flags.resume.clone().map(|folder| folder.map_or(Resume::Latest, Resume::Folder)),
            plugins: flags.plugin.clone(),
            processes: flags.nproc.map(usize::from),
            verbosity: verbosity(&flags),
            sources: sources(flags, environment, names_its_preset),
        }
    }
}

fn action(command: Command) -> (Action, Flags) {
    match command {
        Command::Run(flags) => (Action::Run, flags),
        Command::Data { command: DataCommand::Stats(flags) } => (Action::DataStats, flags),
        Command::Data { command: DataCommand::Generate { out, flags } } => (Action::DataGenerate { out }, flags),
        Command::TrainReward(flags) => (Action::TrainReward, flags),
        Command::Pretrain(flags) => (Action::Pretrain, flags),
        Command::Rl(flags) => (Action::Rl, flags),
        Command::Eval(typed) => (Action::Eval { weights: typed.policy_weights }, typed.flags),
        Command::Bench(typed) => {
            let BenchFlags { grid, algos: algorithms, seeds, jobs, out, flags } = typed;
            (Action::Bench(Order { grid, algorithms, seeds, jobs, out }), flags)
        }
        Command::Plugin { command } => of_plugins(command),
        Command::Config { command: ConfigCommand::Show(flags) } => (Action::ConfigShow, flags),
        Command::Version(flags) => (Action::Version, flags),
    }
}

fn of_plugins(command: PluginCommand) -> (Action, Flags) {
    match command {
        PluginCommand::New { sort, name, path, sdk } => {
            (Action::PluginNew(scaffold::Order { sort, name, path, sdk }), Flags::default())
        }
        PluginCommand::Check { library, flags } => {
            (Action::PluginCheck { library, device: flags.device.clone().unwrap_or("cpu".into()) }, flags)
        }
        PluginCommand::CheckHere { library, flags } => {
            (Action::PluginCheckHere { library, device: flags.device.clone().unwrap_or("cpu".into()) }, flags)
        }
        PluginCommand::SurveyHere { library } => (Action::PluginSurveyHere { library }, Flags::default()),
        PluginCommand::Pack { library, out, flags } => (Action::PluginPack { library, out }, flags),
        PluginCommand::Install { library, flags } => (Action::PluginInstall { library }, flags),
        PluginCommand::List(flags) => (Action::PluginList, flags),
        PluginCommand::Info { name, flags } => (Action::PluginInfo { name }, flags),
    }
}

fn verbosity(flags: &Flags) -> Verbosity {
    match (flags.quiet, flags.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Everything,
    }
}

/// A resumed run takes its settings from its folder, a grid file names its preset; else, where nothing says which data,
/// they are the demo's.
fn sources(flags: Flags, environment: Vec<(String, String)>, names_its_preset: bool) -> Sources {
    let assignments = assignments(&flags);
    let data_is_named = assignments.iter().any(|it| it.sets("data.path"))
        || environment.iter().any(|(name, value)| name.eq_ignore_ascii_case("PRORL__DATA__PATH") && !value.is_empty());
    let silent = flags.config.is_empty() && flags.resume.is_none() && !data_is_named && !names_its_preset;
    let preset = flags.preset.or_else(|| silent.then(|| DEFAULT_PRESET.into()));
    Sources { preset, files: flags.config, environment, grid: Vec::new(), assignments }
}

fn assignments(flags: &Flags) -> Vec<Assignment> {
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let path = |value: &Option<PathBuf>| value.as_deref().map(Path::to_string_lossy).map(|it| Value::String(it.into()));
    let typed = [
        ("--algo", "algo.name", text(&flags.algo)),
        ("--reward", "reward.name", text(&flags.reward)),
        ("--evaluator", "evaluator.names", flags.evaluator.clone().map(Value::from)),
        ("--policy", "policy.name", text(&flags.policy)),
        ("--tokenizer", "tokenizer.name", text(&flags.tokenizer)),
        ("--data", "data.path", text(&flags.data)),
        ("--device", "device", text(&flags.device)),
        ("--micro-batch", "micro_batch", flags.micro_batch.map(Value::from)),
        ("--seed", "seed", flags.seed.map(Value::from)),
        ("--runs", "runs", path(&flags.runs)),
        ("--cache", "cache", path(&flags.cache)),
    ];
    let of_flags = typed.into_iter().filter_map(|(flag, key, value)| Some(Assignment::flag(flag, key, value?)));
    of_flags.chain(flags.set.iter().cloned()).collect()
}
