//! The flags that every command takes.

use crate::settings::Assignment;
use clap::Args;
use std::path::PathBuf;

/// As typed; the same before and after a command's name.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Algorithm that learns from rewards, e.g. prorl, reinforce [algo.name]
    #[arg(long, value_name = "NAME", help_heading = "Components")]
    pub algo: Option<String>,
    /// Reward model that simulates the users learnt from, e.g. sasrec [reward.name]
    #[arg(long, value_name = "NAME", help_heading = "Components")]
    pub reward: Option<String>,
    /// Reward models that judge, e.g. sasrec,gru4rec [evaluator.names]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Components")]
    pub evaluator: Option<Vec<String>>,
    /// Policy that proposes paths, e.g. t5 [policy.name]
    #[arg(long, value_name = "NAME", help_heading = "Components")]
    pub policy: Option<String>,
    /// Tokenizer that gives items codes, e.g. sem-ids, rq-kmeans [tokenizer.name]
    #[arg(long, value_name = "NAME", help_heading = "Components")]
    pub tokenizer: Option<String>,
    /// Plugin to load: a library, or a folder of them; repeatable
    #[arg(long, value_name = "PATH", help_heading = "Components")]
    pub plugin: Vec<PathBuf>,

    /// Data folder, or `generated` [data.path]
    #[arg(long, value_name = "DIR", help_heading = "Settings")]
    pub data: Option<String>,
    /// demo, ml-1m, steam, books, or a TOML file; without --preset, --config and --data: demo
    #[arg(long, value_name = "NAME|FILE", help_heading = "Settings")]
    pub preset: Option<String>,
    /// TOML file over the preset; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub config: Vec<PathBuf>,
    /// One setting, e.g. rl.learning_rate=1e-4, algo.gamma=0.9; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Settings")]
    pub set: Vec<Assignment>,
    /// auto, cpu, cuda or cuda:N [device]
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    pub device: Option<String>,
    /// Most prompts or sequences that a process computes gradients of at a time [micro_batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32), help_heading = "Settings")]
    pub micro_batch: Option<u32>,
    /// Processes to start on this machine, each with its share of every batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Settings")]
    pub nproc: Option<u16>,
    /// Every random stream is a function of it [seed]
    #[arg(long, value_name = "N", help_heading = "Settings")]
    pub seed: Option<u64>,

    /// Go on with the run in this folder, or with the latest
    #[arg(long, value_name = "RUN_FOLDER", num_args = 0..=1, help_heading = "Runs")]
    pub resume: Option<Option<PathBuf>>,
    /// Folder for the folders of runs [runs]
    #[arg(long, value_name = "DIR", help_heading = "Runs")]
    pub runs: Option<PathBuf>,
    /// Folder for what later runs can use again [cache]
    #[arg(long, value_name = "DIR", help_heading = "Runs")]
    pub cache: Option<PathBuf>,

    /// Only warnings, errors and the result
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Say more; -vv says all
    #[arg(long, short, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

impl Flags {
    /// These flags, and over them those typed after a command's name.
    pub fn then(self, inner: Flags) -> Flags {
        Flags {
            algo: inner.algo.or(self.algo),
            reward: inner.reward.or(self.reward),
            evaluator: inner.evaluator.or(self.evaluator),
            policy: inner.policy.or(self.policy),
            tokenizer: inner.tokenizer.or(self.tokenizer),
            plugin: [self.plugin, inner.plugin].concat(),
            data: inner.data.or(self.data),
            preset: inner.preset.or(self.preset),
            config: [self.config, inner.config].concat(),
            set: [self.set, inner.set].concat(),
            device: inner.device.or(self.device),
            micro_batch: inner.micro_batch.or(self.micro_batch),
            nproc: inner.nproc.or(self.nproc),
            seed: inner.seed.or(self.seed),
            resume: inner.resume.or(self.resume),
            runs: inner.runs.or(self.runs),
            cache: inner.cache.or(self.cache),
            quiet: inner.quiet || self.quiet,
            verbose: inner.verbose.max(self.verbose),
        }
    }
}
