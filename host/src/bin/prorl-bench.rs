//! Times the tasks that dominate a researcher's waiting, and the same work in Python beside them.

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use prorl_host::benchmark::floor::{Machine, multiplies_bf16};
use prorl_host::benchmark::history::{self, Figure, Record};
use prorl_host::benchmark::python::Python;
use prorl_host::benchmark::report::{Measured, Side};
use prorl_host::benchmark::{self, Sizes, growth, interactions, report};
use prorl_host::plugins::Registry;
use std::path::PathBuf;
use tch::Device;

/// Times sampling, update, imitation, beam search, reward scoring, reward model training and evaluation.
#[derive(Parser)]
struct Arguments {
    /// Prompts of a batch.
    #[arg(long, default_value_t = 32)]
    prompts: i64,
    /// Paths of a prompt.
    #[arg(long, default_value_t = 16)]
    group: i64,
    /// Items of every path.
    #[arg(long, default_value_t = 3)]
    path_items: i64,
    /// Measurements of each task, of which the median counts.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Threads of both sides.
    #[arg(long, default_value_t = 2)]
    threads: i32,
    /// Tasks, separated by commas; all where absent. With --growth: what grows.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measures the machine, too, and says how far each task is from the least time its arithmetic takes.
    #[arg(long)]
    floor: bool,
    /// Measures what a call of a plugin costs, in place of the tasks.
    #[arg(long)]
    boundary: bool,
    /// Lets one size after the other grow a hundredfold, in place of the tasks; tables and drawings go into this folder.
    #[arg(long, value_name = "FOLDER")]
    growth: Option<PathBuf>,
    /// Times reading a log, in place of the tasks, with --python also RecBole's: the log is written into this folder and
    /// stays there.
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Interactions of the log.
    #[arg(long, default_value_t = 25_000_000)]
    interactions: u64,
    /// Adds the figures to this file of JSON lines and says what changed since the last ones of the same work.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Kinds of the factors of the policy's products: float32, bf16, or both, separated by a comma.
    #[arg(long, value_delimiter = ',', default_value = "float32", value_parser = ["float32", "bf16"])]
    precision: Vec<String>,
    /// `cpu` or `cuda`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Python interpreter with torch, transformers and recbole: runs the comparison too.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Whether Python is timed under bf16 autocast, too, where bf16 is asked for: `auto` where the device has products of
    /// bf16, since elsewhere a task takes minutes.
    #[arg(long, value_enum, default_value_t = Autocast::Auto)]
    autocast: Autocast,
    /// The comparison's script.
    #[arg(long, default_value = "../shared/baseline/bench_python.py")]
    script: PathBuf,
    /// A plugin library or a folder of them, before all others.
    #[arg(long)]
    plugin: Vec<PathBuf>,
}

/// When Python is timed under autocast.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Autocast {
    Auto,
    Always,
    Never,
}

impl Arguments {
    fn python(&self) -> Option<Python> {
        let interpreter = self.python.clone()?;
        Some(Python { interpreter, script: self.script.clone(), threads: self.threads })
    }

    fn times_autocast(&self, device: Device) -> bool {
        let slow = self.autocast == Autocast::Auto && !multiplies_bf16(device);
        if slow {
            log::info!(
                "Python is not timed under autocast: this device has no products of bf16; --autocast always times it anyway"
            );
        }
        !slow && self.autocast != Autocast::Never
    }

    fn sizes(&self) -> Result<Sizes> {
        let device = match self.device.as_str() {
            "cpu" => Device::Cpu,
            "cuda" => {
                prorl_abi::cuda::open()?;
                Device::Cuda(0)
            }
            other => bail!("--device is `{other}`, but should be cpu or cuda"),
        };
        let comparison = Sizes::of_the_comparison(device);
        Ok(Sizes {
            prompts: self.prompts,
            group: self.group,
            path_items: self.path_items,
            longest: self.path_items.max(comparison.longest),
            repeats: self.repeats,
            ..comparison
        })
    }
}

fn main() -> Result<()> {
    prorl_distributed::keep_freed_memory()?;
    let arguments = Arguments::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).format_timestamp(None).init();
    tch::set_num_threads(arguments.threads);
    prorl_distributed::widen_float32_products()?;
    let (sizes, registry) = (arguments.sizes()?, Registry::open(&arguments.plugin)?);
    if arguments.boundary {
        prorl_host::outln!("{}", benchmark::boundary::measure(&registry, &sizes)?);
        return Ok(());
    }
    if let Some(folder) = &arguments.growth {
        prorl_host::outln!("{}", growth::measure(&registry, &sizes, &arguments.only, folder)?);
        return Ok(());
    }
    let python = arguments.python();
    if let Some(folder) = &arguments.log {
        prorl_host::out!("{}", interactions::compare(folder, arguments.interactions, python.as_ref())?);
        return Ok(());
    }
    let measured = tasks(&arguments, python.as_ref(), &registry, &sizes)?;
    prorl_host::outln!("\n{}", report::comparison(&measured));
    if arguments.floor {
        prorl_host::outln!("\n{}", report::floors(&measured, &Machine::measure(sizes.device), &sizes));
    }
    if let Some(path) = &arguments.history {
        keep(path, Record::new(path, &sizes, arguments.threads, figures(&measured)))?;
    }
    Ok(())
}

/// Task by task, so that all sides meet the machine in the same mood.
fn tasks(arguments: &Arguments, python: Option<&Python>, registry: &Registry, sizes: &Sizes) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    // Float32 is what all ratios are to; autocast stands beside it where bf16 was asked for.
    let autocast =
        python.is_some() && arguments.precision.iter().any(|it| it == "bf16") && arguments.times_autocast(sizes.device);
    let mut add = |side, precision: &str, timing: benchmark::Timing| {
        let whose = if side == Side::Ours { "" } else { ", in Python" };
        prorl_host::outln!("{:9} {:9.3} s   {precision}{whose}: {}", timing.name, timing.seconds, timing.what);
        measured.push(Measured { side, precision: precision.to_owned(), timing });
    };
    for task in benchmark::chosen(&arguments.only)? {
        let policys = benchmark::runs_the_policy(task);
        let precisions = || arguments.precision.iter().filter(|it| policys || *it == &arguments.precision[0]);
        let label = |precision: &str| if policys { precision.to_owned() } else { "float32".to_owned() };
        for precision in precisions() {
            let sizes = Sizes { precision: precision.clone(), ..sizes.clone() };
            add(Side::Ours, &label(precision), benchmark::run(registry, &sizes, task)?);
        }
        let Some(python) = python.filter(|_| benchmark::is_compared(task)) else { continue };
        let autocast = (autocast && policys).then_some("bf16");
        for precision in ["float32"].into_iter().chain(autocast) {
            let sizes = Sizes { precision: precision.into(), ..sizes.clone() };
            if let Some(timing) = python.time(task, &sizes)? {
                add(Side::Python, precision, timing);
            }
        }
    }
    report::add_steps(&mut measured);
    for step in measured.iter().filter(|it| it.side == Side::Ours && it.timing.name == "step") {
        let rate = sizes.tokens_of_a_step() as f64 / step.timing.seconds;
        prorl_host::outln!("step      {:9.3} s   {}: {rate:.0} tokens/s", step.timing.seconds, step.precision);
    }
    Ok(measured)
}

fn figures(measured: &[Measured]) -> Vec<Figure> {
    let ours = measured.iter().filter(|it| it.side == Side::Ours);
    let figure = |it: &Measured| Figure {
        task: it.timing.name.clone(),
        precision: it.precision.clone(),
        seconds: it.timing.seconds,
        peak: it.timing.peak,
        python: report::python_of(measured, &it.timing.name, "float32").map(|timing| timing.seconds),
    };
    ours.map(figure).collect()
}

fn keep(path: &std::path::Path, record: Record) -> Result<()> {
    match history::append(path, &record)? {
        None => prorl_host::outln!("\nkept in {}, the first of this work on this machine", path.display()),
        Some(earlier) => {
            let commit = earlier.git.as_ref().map_or("no commit", |git| git.revision.get(..9).unwrap_or(&git.revision));
            prorl_host::outln!("\nkept in {}; since {} ({commit}):", path.display(), earlier.time);
            for change in record.changes_since(&earlier) {
                prorl_host::outln!("{change}");
            }
        }
    }
    Ok(())
}
