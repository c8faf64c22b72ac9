//! Times the six tasks that dominate a researcher's waiting, and the same work in Python beside them.

use anyhow::{Context, Result, bail};
use clap::Parser;
use prorl_host::benchmark::floor::{self, Machine};
use prorl_host::benchmark::{self, Sizes, Timing};
use prorl_host::plugins::Registry;
use prorl_host::tables::{Align, plain_text};
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::Device;

/// Times sampling, update, imitation, beam search, reward scoring and reward model training.
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
    /// Tasks, separated by commas; all six where absent.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measures the machine, too, and says how far each task is from the least time its arithmetic takes.
    #[arg(long)]
    floor: bool,
    /// Measures what a call of a plugin costs, in place of the tasks.
    #[arg(long)]
    boundary: bool,
    /// Kinds of the factors of the policy's products: float32, bf16, or both, separated by a comma.
    #[arg(long, value_delimiter = ',', default_value = "float32", value_parser = ["float32", "bf16"])]
    precision: Vec<String>,
    /// `cpu` or `cuda`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Python interpreter with torch, transformers and recbole: runs the comparison too.
    #[arg(long)]
    python: Option<PathBuf>,
    /// The comparison's script.
    #[arg(long, default_value = "../shared/baseline/bench_python.py")]
    script: PathBuf,
    /// A plugin library or a folder of them, before all others.
    #[arg(long)]
    plugin: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tch::set_num_threads(arguments.threads);
    let device = match arguments.device.as_str() {
        "cpu" => Device::Cpu,
        "cuda" => Device::Cuda(0),
        other => bail!("--device is `{other}`, but should be cpu or cuda"),
    };
    let sizes = |precision: &str| Sizes {
        prompts: arguments.prompts,
        group: arguments.group,
        path_items: arguments.path_items,
        repeats: arguments.repeats,
        device,
        precision: precision.into(),
    };
    let registry = Registry::open(&arguments.plugin)?;
    if arguments.boundary {
        prorl_host::outln!("{}", benchmark::boundary::measure(&registry, &sizes("float32"))?);
        return Ok(());
    }
    let mut ours: Vec<(&str, Vec<Timing>)> = arguments.precision.iter().map(|it| (it.as_str(), Vec::new())).collect();
    let mut theirs = Vec::new();
    for task in benchmark::chosen(&arguments.only)? {
        for (place, (precision, timings)) in ours.iter_mut().enumerate() {
            if place > 0 && !benchmark::runs_the_policy(task) {
                continue;
            }
            let timing = benchmark::run(&registry, &sizes(precision), task)?;
            let label = if benchmark::runs_the_policy(task) { precision } else { "float32" };
            prorl_host::outln!("{:9} {:9.3} s   {label}: {}", timing.name, timing.seconds, timing.what);
            timings.push(timing);
        }
        // Task by task, so that both sides meet the machine in the same mood.
        if let Some(python) = &arguments.python {
            for timing in python_timings(python, &arguments.script, &arguments, task)? {
                prorl_host::outln!("{:9} {:9.3} s   the same in Python", "", timing.seconds);
                theirs.push(timing);
            }
        }
    }
    let shared: Vec<Timing> = ours[0].1.iter().filter(|it| !benchmark::runs_the_policy(&it.name)).cloned().collect();
    for (_, timings) in ours.iter_mut().skip(1) {
        timings.extend(shared.iter().cloned());
    }
    for (precision, timings) in &mut ours {
        if let Some(step) = benchmark::step(timings) {
            let rate = sizes(precision).tokens_of_a_step() as f64 / step.seconds;
            prorl_host::outln!("step      {:9.3} s   {precision}: {}, {rate:.0} tokens/s", step.seconds, step.what);
            timings.push(step);
        }
    }
    theirs.extend(benchmark::step(&theirs));
    if arguments.floor {
        let machine = Machine::measure(device);
        for (precision, timings) in &ours {
            prorl_host::outln!("\n{precision}\n{}", floors(timings, &machine, &sizes(precision)));
        }
    }
    if arguments.python.is_some() {
        for (precision, timings) in &ours {
            prorl_host::outln!("\n{precision} beside Python in float32\n{}", comparison(timings, &theirs));
        }
    }
    Ok(())
}

fn floors(timings: &[Timing], machine: &Machine, sizes: &Sizes) -> String {
    let mut rows = vec![["task", "GFLOP", "floor (s)", "measured (s)", "share"].map(str::to_owned).to_vec()];
    for timing in timings {
        let Some(operations) = floor::operations(&timing.name, sizes) else { continue };
        let speed =
            if benchmark::runs_the_policy(&timing.name) { machine.speed(&sizes.precision) } else { machine.float32 };
        let least = operations / speed;
        rows.push(vec![
            timing.name.clone(),
            format!("{:.1}", operations / 1e9),
            format!("{least:.3}"),
            format!("{:.3}", timing.seconds),
            format!("{:.0} %", 100.0 * least / timing.seconds),
        ]);
    }
    let right = Align::Right;
    format!(
        "a large product {:.0} GFLOP/s, with bf16 factors {:.0}; a large copy {:.1} GB/s\n{}",
        machine.float32 / 1e9,
        machine.bf16 / 1e9,
        machine.bandwidth / 1e9,
        plain_text(&rows, &[Align::Left, right, right, right, right])
    )
}

fn python_timings(python: &Path, script: &Path, arguments: &Arguments, task: &str) -> Result<Vec<Timing>> {
    let mut command = Command::new(python);
    command.arg(script).args(["--device", &arguments.device]);
    for (flag, value) in [
        ("--prompts", arguments.prompts),
        ("--group", arguments.group),
        ("--path-items", arguments.path_items),
        ("--repeats", arguments.repeats as i64),
        ("--threads", i64::from(arguments.threads)),
    ] {
        command.arg(flag).arg(value.to_string());
    }
    command.args(["--only", task]);
    // The library path that finds this program's libtorch would give Python another one than its own.
    let output = command.env_remove("LD_LIBRARY_PATH").output();
    let output = output.with_context(|| format!("starting {}", python.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("the comparison failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text.lines().filter_map(parse_line).collect())
}

/// `name  seconds s  what`.
fn parse_line(line: &str) -> Option<Timing> {
    let mut words = line.split_whitespace();
    let (name, seconds) = (words.next()?, words.next()?.parse().ok()?);
    (words.next()? == "s").then(|| Timing { name: name.into(), seconds, what: words.collect::<Vec<_>>().join(" ") })
}

fn comparison(ours: &[Timing], theirs: &[Timing]) -> String {
    let mut rows = vec![["task", "ours (s)", "Python (s)", "ratio"].map(str::to_owned).to_vec()];
    for timing in ours {
        if let Some(python) = theirs.iter().find(|python| python.name == timing.name) {
            let ratio = python.seconds / timing.seconds;
            rows.push(vec![
                timing.name.clone(),
                format!("{:.3}", timing.seconds),
                format!("{:.3}", python.seconds),
                format!("{ratio:.1}x"),
            ]);
        }
    }
    plain_text(&rows, &[Align::Left, Align::Right, Align::Right, Align::Right])
}
