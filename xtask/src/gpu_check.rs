//! All that only a GPU can show, in one command: the golden numbers on it, NCCL, and how fast a step is.

use crate::command::run;
use crate::libtorch::VERSION;
use crate::setup::{self, Libtorch};
use crate::workspace::{WithLibtorch, Workspace};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// The paper's batch on one GPU.
const BATCH: [&str; 6] = ["--prompts", "128", "--group", "16", "--path-items", "10"];
/// From one look at the GPU to the next.
const LOOK_MILLISECONDS: &str = "100";

/// Runs everything and prints the tables.
///
/// # Errors
/// There is no GPU, libtorch has no part for it, or a part fails.
pub fn gpu_check(workspace: &Workspace, python: Option<&Path>, args: &[OsString]) -> Result<()> {
    let names = seen("name").context("there is no GPU: nvidia-smi names none")?;
    println!("GPU: {}", names.join(", "));
    let libtorch = setup::libtorch(workspace)?;
    if !libtorch.root.join("lib/libtorch_cuda.so").exists() {
        bail!(
            "{} has no libtorch_cuda.so, which NCCL is built with: set LIBTORCH to the folder `torch` of a Python torch \
             {VERSION} with CUDA",
            libtorch.root.display()
        );
    }
    run(workspace.cargo(["build", "--release", "--workspace"]).with(&libtorch)?)?;
    golden_numbers(workspace, &libtorch)?;
    nccl(workspace, &libtorch)?;
    compared(workspace, &libtorch, python, args)?;
    busy(workspace, &libtorch, args)
}

fn golden_numbers(workspace: &Workspace, libtorch: &Libtorch) -> Result<()> {
    println!("\nGolden numbers on the GPU, in float32");
    let mut tests = workspace.cargo(["test", "--release", "--test", "parity"]);
    for package in ["t5", "sasrec", "gru4rec", "prorl"] {
        tests.args(["-p", &format!("prorl-plugin-{package}")]);
    }
    // TF32 would keep ten bits of a product's factors.
    run(tests.env("PRORL_TEST_DEVICE", "cuda").env("NVIDIA_TF32_OVERRIDE", "0").with(libtorch)?)
}

fn nccl(workspace: &Workspace, libtorch: &Libtorch) -> Result<()> {
    println!("\nA group of one over NCCL");
    let mut test = workspace.cargo(["test", "--release", "-p", "prorl-distributed", "--test", "group"]);
    run(test.args(["--", "--ignored", "--exact", "one_process_over_nccl"]).with(libtorch)?)
}

fn bench(workspace: &Workspace, args: &[OsString]) -> Command {
    let mut bench = workspace.bench();
    bench.args(["--device", "cuda"]).args(BATCH).args(args);
    bench
}

fn compared(workspace: &Workspace, libtorch: &Libtorch, python: Option<&Path>, args: &[OsString]) -> Result<()> {
    println!("\nOne step at the paper's batch");
    let mut bench = bench(workspace, args);
    bench.args(["--precision", "float32,bf16"]);
    if let Some(python) = python {
        bench.arg("--python").arg(python);
    }
    run(bench.with(libtorch)?)
}

/// Share of the time in which the GPU computes, over many steps.
fn busy(workspace: &Workspace, libtorch: &Libtorch, args: &[OsString]) -> Result<()> {
    for precision in ["float32", "bf16"] {
        let mut watch = Command::new("nvidia-smi");
        watch.args(["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]);
        let mut watch = watch.args(["--loop-ms", LOOK_MILLISECONDS]).stdout(Stdio::piped()).spawn()?;
        let mut bench = bench(workspace, args);
        let done = run(bench
            .args(["--only", "sample,reward,update", "--repeats", "20", "--precision", precision])
            .with(libtorch)?);
        watch.kill()?;
        let looks =
            watch.stdout.take().map(|out| BufReader::new(out).lines().map_while(Result::ok)).into_iter().flatten();
        let shares: Vec<f64> = looks.filter_map(|line| line.trim().parse().ok()).collect();
        watch.wait()?;
        done?;
        let working: Vec<f64> = shares.into_iter().filter(|&share| share > 0.0).collect();
        if working.is_empty() {
            bail!("nvidia-smi never saw the GPU at work");
        }
        let mean = working.iter().sum::<f64>() / working.len() as f64;
        println!("{precision}: the GPU is busy {mean:.0} % of the time, from the first kernel on");
    }
    Ok(())
}

/// What nvidia-smi says of every GPU.
fn seen(property: &str) -> Option<Vec<String>> {
    let output =
        Command::new("nvidia-smi").args([&format!("--query-gpu={property}"), "--format=csv,noheader"]).output();
    let text = String::from_utf8(output.ok().filter(|output| output.status.success())?.stdout).ok()?;
    Some(text.lines().map(str::to_owned).collect()).filter(|names: &Vec<String>| !names.is_empty())
}
