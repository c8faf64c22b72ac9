//! The command line, in two stages: what was typed ([`Typed`]), what it means ([`Invocation`]).

mod flags;
mod meaning;
#[cfg(test)]
mod tests;

pub use flags::Flags;
pub use meaning::{Action, Invocation, PolicyWeights, Resume, Verbosity};

use crate::scaffold::Sort;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  prorl-host                                     a small generated world (preset demo)
  prorl-host --algo prorl --reward sasrec        the same, with these components
  prorl-host --preset ml-1m --set rl.group=8     MovieLens, one setting changed
  prorl-host rl --preset ml-1m --algo reinforce  only the last training; the rest from the cache
  prorl-host eval --preset ml-1m --policy-weights imitation
  prorl-host --resume                            goes on with the latest run
  prorl-host config show --preset steam          every setting, and where it comes from
  prorl-host plugin info prorl                   what a component does, and its parameters
  prorl-host plugin new reward my-reward         a crate with a working reward model to replace

Settings come from, each over the one before: defaults, --preset, --config, the environment
(PRORL__RL__LEARNING_RATE=1e-4), flags, --set.";

/// Proactive recommendation: learn and judge paths that move users towards target items.
#[derive(Debug, Parser)]
#[command(name = "prorl-host", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Typed {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

/// Without a command, `run`.
#[derive(Debug, Subcommand)]
enum Command {
    /// The whole experiment: data, codes, reward models, imitation, reinforcement learning, evaluation
    Run(Flags),
    /// The data: figures of a data set, or a generated one
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Train the reward model and the evaluators
    TrainReward(Flags),
    /// Train the policy to imitate coherent paths
    Pretrain(Flags),
    /// Train the policy on rewards, from the imitation policy
    Rl(Flags),
    /// Measure a policy on the prompts of evaluation.split
    Eval(EvalFlags),
    /// Compare algorithms, or a grid of settings, over several seeds
    ///
    /// Example: prorl-host bench --algos prorl,reinforce --seeds 0,1,2 --out comparisons/first
    Bench(BenchFlags),
    /// The plugins: what there is, and what each does
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// The settings
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Versions of host, contract and libtorch
    Version(Flags),
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Users, items, interactions, prompts and path lengths of --data
    Stats(Flags),
    /// Write the generated world as files
    ///
    /// Example: prorl-host data generate --out worlds/small --set data.world.users=500
    Generate {
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        flags: Flags,
    },
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// All components that the found plugins offer
    List(Flags),
    /// A crate of its own with a working component to replace
    ///
    /// Example: prorl-host plugin new reward my-reward
    New {
        /// What it is
        #[arg(value_name = "KIND")]
        sort: Sort,
        /// How it will be asked for, e.g. my-reward
        name: String,
        /// Folder of the crate [default: ./NAME]
        #[arg(long, value_name = "DIR")]
        path: Option<PathBuf>,
        /// Checkout of prorl-host to write against [default: the one this program was built from]
        #[arg(long, value_name = "DIR")]
        sdk: Option<PathBuf>,
    },
    /// Whether a library fits this host and its components keep their contract; in a process of its own
    ///
    /// Example: prorl-host plugin check target/release/libprorl_plugin_my_reward.so
    Check {
        /// The library
        library: PathBuf,
        #[command(flatten)]
        flags: Flags,
    },
    /// The same in this process
    #[command(hide = true)]
    CheckHere {
        library: PathBuf,
        #[command(flatten)]
        flags: Flags,
    },
    /// What a library offers, for this program's own use
    #[command(hide = true)]
    SurveyHere { library: PathBuf },
    /// Copy a library that fits this host, or the one in an archive, to the user's plugin folder
    Install {
        /// The library, or an archive that `plugin pack` made
        library: PathBuf,
        #[command(flatten)]
        flags: Flags,
    },
    /// A library as one archive to hand on, with its hello record, schemas of its parameters, and hashes
    ///
    /// Example: prorl-host plugin pack target/release/libprorl_plugin_my_reward.so
    Pack {
        /// The library
        library: PathBuf,
        /// The archive [default: ./PACKAGE-VERSION-TARGET.tar.gz]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// A component's parameters with defaults, metrics and capabilities
    ///
    /// Example: prorl-host plugin info prorl
    Info {
        /// The component, e.g. prorl
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting with its value and where that comes from; the output is TOML, usable with --config
    Show(Flags),
}

#[derive(Debug, Args)]
struct EvalFlags {
    /// Which policy: imitation, rl, or a safetensors file
    #[arg(long, value_name = "rl|imitation|FILE", default_value = "rl")]
    policy_weights: PolicyWeights,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct BenchFlags {
    /// TOML file with variants, seeds and settings; see configs/paper
    #[arg(long, value_name = "FILE")]
    grid: Option<PathBuf>,
    /// Algorithms to compare, beside the grid's variants
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    algos: Vec<String>,
    /// Seeds, in place of the grid's
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Runs at once; each gets its share of the cores
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Folder of the comparison; one that exists goes on where it was
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    flags: Flags,
}
