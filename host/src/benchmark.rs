//! Tasks that dominate a researcher's waiting, timed through the real plugins.
//!
//! Sizes and data follow the Python comparison: random weights, random codes, forced path lengths, so that both
//! sides do the same work.

pub mod boundary;
pub mod floor;
pub mod growth;
pub mod history;
pub mod interactions;
pub mod memory;
pub mod python;
pub mod report;

use crate::plugins::{ForeignAlgorithm, ForeignPolicy, ForeignRewardModel, Registry};
use crate::training::adamw::{AdamW, AdamWOptions};
use anyhow::{Context, Result, bail};
use prorl_sdk::algorithm::{Batch, LogProbs, Progress};
use prorl_sdk::policy::{Decoding, Query};
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::Sequences;
use prorl_sdk::setup::Setup;
use serde_json::json;
use std::time::Instant;
use tch::{Device, Kind, Tensor, no_grad};

/// Items of a history, as the paper's.
const HISTORY: i64 = 10;
/// Sequences and labelled positions of one epoch of a reward model on ML-1M.
const EPOCH: (i64, i64) = (6_771, 66_613);

/// How much work, and how often.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Prompts of a batch.
    pub prompts: i64,
    /// Paths of a prompt.
    pub group: i64,
    /// Items of every path.
    pub path_items: i64,
    /// Most items of a path.
    pub longest: i64,
    /// Items of the catalogue.
    pub items: i64,
    /// Measurements, of which the median counts.
    pub repeats: usize,
    /// Where the work is done.
    pub device: Device,
    /// Kind of the factors of the policy's products: `float32` or `bf16`.
    pub precision: String,
}

impl Sizes {
    /// Those of the Python comparison: ML-1M's catalogue, the paper's paths.
    pub fn of_the_comparison(device: Device) -> Self {
        Self {
            prompts: 32,
            group: 16,
            path_items: 3,
            longest: 10,
            items: 3_883,
            repeats: 5,
            device,
            precision: "float32".into(),
        }
    }

    /// Tokens that one step draws, or learns from.
    pub fn tokens_of_a_step(&self) -> i64 {
        self.prompts * self.group * (4 * self.path_items + 1)
    }
}

/// A measured task.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Its name in the Python comparison.
    pub name: String,
    /// Median seconds.
    pub seconds: f64,
    /// What was done.
    pub what: String,
    /// Most bytes that the process held meanwhile, where the system tells.
    pub peak: Option<u64>,
}

struct Bench<'a> {
    sizes: &'a Sizes,
    registry: &'a Registry,
    setup: Setup,
}

type Task = for<'a, 'b> fn(&'a Bench<'b>) -> Result<Timing>;

/// The six of the Python comparison; `evaluate`, which it lacks; and what only [`growth`] looks at: `train`, a step of a
/// reward model with sampled items.
const TASKS: [(&str, Task); 8] = [
    ("sample", |it| it.sample()),
    ("update", |it| it.update()),
    ("pretrain", |it| it.pretrain()),
    ("beam", |it| it.beam()),
    ("reward", |it| it.reward()),
    ("sasrec", |it| it.sasrec()),
    ("evaluate", |it| it.evaluate()),
    ("train", |it| it.train()),
];

/// Tasks that stand alone.
const CHOSEN: usize = 7;
/// Of these, the ones that the Python comparison has.
const COMPARED: usize = 6;

/// The tasks named in `only`, or all, in their order.
///
/// # Errors
/// A name is no task's.
pub fn chosen(only: &[String]) -> Result<Vec<&'static str>> {
    let names: Vec<&str> = TASKS[..CHOSEN].iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = only.iter().find(|wanted| !names.contains(&wanted.as_str())) {
        bail!("`{unknown}` is no task; the tasks are {}", names.join(", "));
    }
    Ok(names.into_iter().filter(|name| only.is_empty() || only.iter().any(|wanted| wanted == name)).collect())
}

/// Whether the Python comparison has a task.
pub fn is_compared(task: &str) -> bool {
    TASKS[..COMPARED].iter().any(|(name, _)| *name == task)
}

/// Whether a task runs the policy, and so depends on its precision.
pub fn runs_the_policy(task: &str) -> bool {
    !matches!(task, "reward" | "sasrec" | "train")
}

/// Sampling, judging and learning: one step of RL, of the tasks measured, where all three are among them.
pub fn step(timings: &[Timing]) -> Option<Timing> {
    let part = |name: &str| timings.iter().find(|it| it.name == name);
    let parts = [part("sample")?, part("reward")?, part("update")?];
    let seconds = parts.iter().map(|it| it.seconds).sum();
    let peak = parts.iter().filter_map(|it| it.peak).max();
    Some(Timing { name: "step".into(), seconds, what: "sample, reward and update".into(), peak })
}

/// Times one task.
///
/// # Errors
/// A plugin is missing or fails, or the name is no task's.
pub fn run(registry: &Registry, sizes: &Sizes, task: &str) -> Result<Timing> {
    let (_, work) = TASKS.iter().find(|(name, _)| *name == task).with_context(|| format!("`{task}` is no task"))?;
    work(&Bench::new(registry, sizes))
}

fn setup(sizes: &Sizes) -> Setup {
    Setup {
        items: sizes.items,
        history: HISTORY,
        path: sizes.longest,
        codes: Some(codes(sizes.items).to_device(sizes.device)),
        codebook_size: 256,
        device: crate::workbench::device_name(sizes.device),
        hidden: 0,
        popularity: None,
    }
}

/// Waits until the device has done what it was given.
fn synchronise(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// Random distinct codes of 3 × 256 and a last digit.
fn codes(items: i64) -> Tensor {
    let order = Tensor::randperm(256 * 256 * 256, (Kind::Int64, Device::Cpu)).narrow(0, 0, items + 1);
    let digit = |place: i64| order.floor_divide_scalar(256i64.pow(place as u32)).remainder(256);
    let codes = Tensor::stack(&[digit(2), digit(1), digit(0), order.ones_like()], 1); // [V + 1, 4]
    let _ = codes.get(0).zero_();
    codes
}

impl<'a> Bench<'a> {
    fn new(registry: &'a Registry, sizes: &'a Sizes) -> Self {
        tch::manual_seed(0);
        Self { sizes, registry, setup: setup(sizes) }
    }

    fn items(&self, size: &[i64]) -> Tensor {
        Tensor::randint_low(1, self.sizes.items + 1, size, (Kind::Int64, self.sizes.device))
    }

    fn prompts(&self, count: i64) -> Prompts {
        Prompts { history: self.items(&[count, HISTORY]), target: self.items(&[count]) }
    }

    /// Paths that hold exactly as many items as asked for, then stop.
    fn paths(&self, prompts: i64, group: i64) -> Paths {
        let Sizes { path_items: count, longest, .. } = *self.sizes;
        let items = self.items(&[prompts, group, count]).constant_pad_nd([0, longest - count]);
        let length = Tensor::full([prompts, group], count, (Kind::Int64, self.sizes.device));
        let stopped = length.lt(longest);
        Paths { items, length, stopped, tokens: None }
    }

    fn policy(&self) -> Result<ForeignPolicy> {
        let mut policy = self.registry.policy("t5", &json!({ "precision": self.sizes.precision }), &self.setup)?;
        policy.set_training(false)?;
        Ok(policy)
    }

    fn reward_model(&self, negatives: i64) -> Result<ForeignRewardModel> {
        Ok(self.registry.reward_model("sasrec", &json!({ "negatives": negatives }), &self.setup)?)
    }

    fn algorithm(&self) -> Result<ForeignAlgorithm> {
        Ok(self.registry.algorithm("prorl", &json!({}), &self.setup)?)
    }

    fn timed(&self, name: &str, what: String, mut task: impl FnMut() -> Result<()>) -> Result<Timing> {
        memory::forget_peak();
        task()?;
        let mut seconds = Vec::new();
        for _ in 0..self.sizes.repeats.max(1) {
            self.synchronise();
            let started = Instant::now();
            task()?;
            self.synchronise();
            seconds.push(started.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(Timing { name: name.into(), seconds: seconds[seconds.len() / 2], what, peak: memory::peak() })
    }

    fn synchronise(&self) {
        synchronise(self.sizes.device);
    }

    fn tokens(&self) -> i64 {
        4 * self.sizes.path_items + 1
    }

    fn sample(&self) -> Result<Timing> {
        let (mut policy, prompts) = (self.policy()?, self.prompts(self.sizes.prompts));
        let decoding = Decoding { forced_length: self.sizes.path_items, ..Decoding::sample(self.sizes.group) };
        let what = format!("{} prompts x {} paths x {} tokens", self.sizes.prompts, self.sizes.group, self.tokens());
        self.timed("sample", what, || no_grad(|| policy.rollout(&prompts, &decoding).map(drop).map_err(Into::into)))
    }

    fn update(&self) -> Result<Timing> {
        let (mut policy, mut reference, mut algorithm) = (self.policy()?, self.policy()?, self.algorithm()?);
        let prompts = self.prompts(self.sizes.prompts);
        let paths = self.paths(self.sizes.prompts, self.sizes.group);
        let advantages = Tensor::randn(
            [self.sizes.prompts, self.sizes.group, self.sizes.longest + 1],
            (Kind::Float, self.sizes.device),
        ) * paths.acts().to_kind(Kind::Float);
        let batch = Batch {
            items: paths.items.shallow_clone(),
            length: paths.length.shallow_clone(),
            stopped: paths.stopped.shallow_clone(),
            advantages,
            extra: Vec::new(),
        };
        let progress = Progress { epoch: 0, step: 0, steps: 1 };
        let mut optimiser = AdamW::new(policy.parameters()?, AdamWOptions { clip: 1.0, ..Default::default() });
        let what = format!("{} paths x {} tokens", self.sizes.prompts * self.sizes.group, self.tokens());
        self.timed("update", what, || {
            optimiser.zero_grad();
            let query = Query::plain();
            let reference = Some(no_grad(|| reference.log_probs(&prompts, &paths, &query))?);
            let current = policy.log_probs(&prompts, &paths, &query)?;
            let log_probs = LogProbs { current, reference, behaviour: None };
            algorithm.loss(&log_probs, &batch, &progress)?.total.backward();
            let _ = optimiser.step(1e-4)?;
            Ok(())
        })
    }

    fn pretrain(&self) -> Result<Timing> {
        let mut policy = self.policy()?;
        policy.set_training(true)?;
        let prompts = self.prompts(256);
        let lengths = Tensor::arange(256, (Kind::Int64, self.sizes.device)).remainder(3) + 1; // [256]
        let positions = Tensor::arange(self.sizes.longest, (Kind::Int64, self.sizes.device));
        let items = self.items(&[256, self.sizes.longest]) * positions.lt_tensor(&lengths.unsqueeze(-1)); // [256, P]
        let paths = Paths::from_items(items.unsqueeze(1));
        let mut optimiser = AdamW::new(policy.parameters()?, AdamWOptions { clip: 1.0, ..Default::default() });
        self.timed("pretrain", "256 pairs".into(), || {
            optimiser.zero_grad();
            policy.imitation_loss(&prompts, &paths)?.total.backward();
            let _ = optimiser.step(1e-4)?;
            Ok(())
        })
    }

    fn beam(&self) -> Result<Timing> {
        let (mut policy, prompts) = (self.policy()?, self.prompts(64));
        let decoding = Decoding { forced_length: self.sizes.path_items, ..Decoding::beam(10) };
        let what = format!("64 prompts x 10 beams x {} tokens", self.tokens());
        self.timed("beam", what, || no_grad(|| policy.rollout(&prompts, &decoding).map(drop).map_err(Into::into)))
    }

    fn reward(&self) -> Result<Timing> {
        let mut model = self.reward_model(0)?;
        model.set_training(false)?;
        let prompts = self.prompts(self.sizes.prompts);
        let paths = self.paths(self.sizes.prompts, self.sizes.group);
        let what =
            format!("{} path items, before and after", self.sizes.prompts * self.sizes.group * self.sizes.path_items);
        self.timed("reward", what, || no_grad(|| model.score_paths(&prompts, &paths).map(drop).map_err(Into::into)))
    }

    fn sasrec(&self) -> Result<Timing> {
        let mut model = self.reward_model(0)?;
        model.set_training(true)?;
        let (sequences, positions) = EPOCH;
        let batches = epoch_batches(sequences, positions, self);
        let mut optimiser = AdamW::new(model.parameters()?, AdamWOptions::default());
        let what = format!("one epoch, {positions} positions of {sequences} sequences");
        self.timed("sasrec", what, || {
            for batch in &batches {
                optimiser.zero_grad();
                model.loss(batch)?.total.backward();
                let _ = optimiser.step(1e-3)?;
            }
            Ok(())
        })
    }

    fn evaluate(&self) -> Result<Timing> {
        let (mut policy, mut evaluator) = (self.policy()?, self.reward_model(0)?);
        evaluator.set_training(false)?;
        let (count, beams) = EVALUATED;
        let prompts = self.prompts(count);
        let decoding = Decoding { forced_length: self.sizes.path_items, ..Decoding::beam(beams) };
        let what = format!("{count} prompts x {beams} beams x {} tokens, judged by SASRec", self.tokens());
        let mut batch = |start: i64| -> Result<()> {
            let prompts = prompts.narrow(start, EVALUATION_BATCH.min(count - start));
            let paths = policy.rollout(&prompts, &decoding)?.paths();
            evaluator.score_paths(&prompts, &paths)?;
            Ok(())
        };
        let mut starts = move || (0..count).step_by(EVALUATION_BATCH as usize).try_for_each(&mut batch);
        self.timed("evaluate", what, || no_grad(&mut starts))
    }

    fn train(&self) -> Result<Timing> {
        let (negatives, sequences) = SAMPLED;
        let mut model = self.reward_model(negatives)?;
        model.set_training(true)?;
        let size = [sequences, EPOCH.1 / EPOCH.0];
        let batch = Sequences { items: self.items(&size), labels: self.items(&size) };
        let mut optimiser = AdamW::new(model.parameters()?, AdamWOptions::default());
        self.timed("train", format!("{sequences} sequences, {negatives} sampled items"), || {
            optimiser.zero_grad();
            model.loss(&batch)?.total.backward();
            let _ = optimiser.step(1e-3)?;
            Ok(())
        })
    }
}

/// Prompts that `evaluate` looks at, and beams of each.
const EVALUATED: (i64, i64) = (1_000, 10);
/// Prompts that it decodes together.
const EVALUATION_BATCH: i64 = 64;

/// Items that a step of `train` compares with, and sequences of the data set's usual length that it reads.
const SAMPLED: (i64, i64) = (2_048, 64);

/// Sequences whose labelled positions add up to `positions`, in batches of about 2,048 of them.
fn epoch_batches(sequences: i64, positions: i64, bench: &Bench<'_>) -> Vec<Sequences> {
    let (short, longer) = (positions / sequences, positions % sequences);
    let items = bench.items(&[sequences, short + 1]);
    let labels = bench.items(&[sequences, short + 1]);
    let has_last = Tensor::arange(sequences, (Kind::Int64, bench.sizes.device)).lt(longer).unsqueeze(-1); // [U, 1]
    let column = Tensor::arange(short + 1, (Kind::Int64, bench.sizes.device)).lt(short); // [T]
    let kept = has_last.logical_or(&column); // [U, T]
    let (items, labels) = (items * &kept, labels * &kept);
    let rows = 2_048 / (short + 1);
    (0..sequences)
        .step_by(rows as usize)
        .map(|start| {
            let count = rows.min(sequences - start);
            Sequences { items: items.narrow(0, start, count), labels: labels.narrow(0, start, count) }
        })
        .collect()
}
