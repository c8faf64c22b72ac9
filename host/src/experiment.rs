//! The experiment, start to end: data → codes → reward models → imitation → reinforcement → evaluation → report.

use crate::evaluation::Evaluation;
use crate::metric_log::MetricLog;
use crate::outln;
use crate::plugins::{ForeignPolicy, Registry};
use crate::report;
use crate::run_folder::RunFolder;
use crate::stages::evaluation::{Judge, Judged, evaluate};
use crate::stages::reward_model::TrainedReward;
use crate::stages::{codes, imitation, reinforcement, reward_model};
use crate::training::weights;
use crate::workbench::Workbench;
use anyhow::{Context, Result};
use prorl_sdk::tokenizer::CodeTable;
use serde_json::{Value, json};
use std::time::Instant;

/// The row of the policy from which algorithms start.
pub const IMITATION: &str = "imitation";

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Train the policy, judge nothing.
    Reinforcement,
    /// Everything.
    Report,
}

/// Seconds by stage, in order.
#[derive(Debug, Default)]
pub struct Stopwatch(Vec<(String, f64)>);

impl Stopwatch {
    /// Runs a stage and writes down how long it took.
    pub fn timed<T>(&mut self, stage: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = body().with_context(|| format!("stage `{stage}`"))?;
        let seconds = started.elapsed().as_secs_f64();
        log::info!("{stage}: {seconds:.1} s");
        self.0.push((stage.into(), seconds));
        // The next stage needs other amounts.
        prorl_distributed::release_freed_memory();
        Ok(result)
    }

    /// Stage and seconds.
    pub fn stages(&self) -> &[(String, f64)] {
        &self.0
    }
}

/// What stands before reinforcement learning.
struct Groundwork {
    codes: CodeTable,
    rewards: Vec<TrainedReward>,
    imitator: ForeignPolicy,
}

/// The whole experiment in `run`'s folder. A policy that no algorithm can train is judged alone.
///
/// # Errors
/// The first stage that fails; what earlier stages made stays in the cache and in the run's folder.
pub fn run(bench: &Workbench, run: &RunFolder, until: Until) -> Result<()> {
    let mut watch = Stopwatch::default();
    let ground = groundwork(bench, &mut watch)?;
    let log = if bench.processes.is_first() { MetricLog::create(run.path())? } else { MetricLog::new() };
    if bench.policy_is_fixed()? {
        return judge_alone(bench, run, ground, watch);
    }
    let Groundwork { codes, mut rewards, mut imitator } = ground;
    let (mut policy, curve) =
        watch.timed("reinforcement", || learn(bench, run, log, &codes, &imitator, &mut rewards[0]))?;
    if until == Until::Report {
        let before =
            watch.timed("evaluation of imitation", || evaluate(bench, &mut imitator, &mut rewards, IMITATION))?;
        let name = bench.settings.algo.name.clone();
        let after = watch.timed("evaluation", || evaluate(bench, &mut policy, &mut rewards, &name))?;
        let results: Vec<_> = rows(bench, IMITATION, before).into_iter().chain(rows(bench, &name, after)).collect();
        finish(bench, run, &results, &rewards, curve, &watch)?;
    }
    Ok(())
}

/// The policy after reinforcement learning from where imitation left it, and its figures epoch by epoch.
fn learn(
    bench: &Workbench,
    run: &RunFolder,
    mut log: MetricLog,
    codes: &CodeTable,
    imitator: &ForeignPolicy,
    reward: &mut TrainedReward,
) -> Result<(ForeignPolicy, Vec<Value>)> {
    let mut policy = same_policy(bench, codes, imitator)?;
    let reference = same_policy(bench, codes, imitator)?;
    let judge = Judge { name: &reward.name, model: &mut reward.model };
    let curve = reinforcement::train(bench, &mut policy, reference, judge, run, &mut log)?;
    Ok((policy, curve))
}

/// Judges the policy that stands before reinforcement learning, under its own name if there is nothing behind it.
fn judge_alone(bench: &Workbench, run: &RunFolder, ground: Groundwork, mut watch: Stopwatch) -> Result<()> {
    let Groundwork { mut rewards, mut imitator, .. } = ground;
    let label = label_before_learning(bench)?;
    let result = watch.timed("evaluation", || evaluate(bench, &mut imitator, &mut rewards, &label))?;
    finish(bench, run, &rows(bench, &label, result), &rewards, Vec::new(), &watch)
}

/// `imitation` is what algorithms start from; a policy that none can train goes by its own name.
fn label_before_learning(bench: &Workbench) -> Result<String> {
    Ok(if bench.policy_is_fixed()? { bench.settings.policy.name.clone() } else { IMITATION.to_owned() })
}

/// Trains whatever of codes, reward models and imitation policy is not in the cache.
fn groundwork(bench: &Workbench, watch: &mut Stopwatch) -> Result<Groundwork> {
    let codes = watch.timed("codes", || codes::codes(bench))?;
    let mut rewards = watch.timed("reward models", || reward_model::all(bench))?;
    let imitator = watch.timed("imitation", || {
        let reward = &mut rewards[0];
        imitation::trained(bench, &codes, &mut Judge { name: &reward.name, model: &mut reward.model })
    })?;
    Ok(Groundwork { codes, rewards, imitator: imitator.policy })
}

fn same_policy(bench: &Workbench, codes: &CodeTable, policy: &ForeignPolicy) -> Result<ForeignPolicy> {
    let mut copy = bench.policy(codes)?;
    weights::restore(&copy.parameters()?, &policy.parameters()?);
    copy.set_training(false)?;
    Ok(copy)
}

fn finish(
    bench: &Workbench,
    run: &RunFolder,
    results: &[(String, Evaluation)],
    rewards: &[TrainedReward],
    curve: Vec<Value>,
    watch: &Stopwatch,
) -> Result<()> {
    if !bench.processes.is_first() {
        return Ok(());
    }
    let text = report::write(bench, run, results, rewards, &curve, watch)?;
    outln!("\n{text}\n{}", run.path().display());
    Ok(())
}

/// Trains the reward model and the evaluators, and prints how well they predict.
///
/// # Errors
/// A plugin fails.
pub fn train_rewards(bench: &Workbench) -> Result<()> {
    let rewards = reward_model::all(bench)?;
    if bench.processes.is_first() {
        outln!("\n{}", report::rewards(&rewards));
    }
    Ok(())
}

/// Trains all that stands before reinforcement learning.
///
/// # Errors
/// A plugin fails.
pub fn pretrain(bench: &Workbench) -> Result<()> {
    groundwork(bench, &mut Stopwatch::default()).map(drop)
}

/// Judges weights: those of imitation, or those that a checkpoint's file holds.
///
/// # Errors
/// The file does not fit the policy, or a plugin fails.
pub fn judge(bench: &Workbench, run: &RunFolder, checkpoint: Option<&std::path::Path>) -> Result<()> {
    let mut watch = Stopwatch::default();
    let ground = groundwork(bench, &mut watch)?;
    let Some(path) = checkpoint else { return judge_alone(bench, run, ground, watch) };
    let Groundwork { codes, mut rewards, imitator } = ground;
    let mut policy = same_policy(bench, &codes, &imitator)?;
    crate::checkpoint::copy_into(&policy.parameters()?, &crate::checkpoint::load(path)?)?;
    let label = path.display().to_string();
    let result = watch.timed("evaluation", || evaluate(bench, &mut policy, &mut rewards, &label))?;
    finish(bench, run, &rows(bench, &label, result), &rewards, Vec::new(), &watch)
}

/// A policy's rows of the tables: itself, and itself re-ranked by the reward model.
fn rows(bench: &Workbench, label: &str, judged: Judged) -> Vec<(String, Evaluation)> {
    let re_ranked = format!("{label}{}{}", report::BEST_OF, bench.settings.evaluation.beams);
    vec![(label.to_owned(), judged.beams), (re_ranked, judged.best_of)]
}

/// What a person needs to know of the plugins that took part.
///
/// # Errors
/// A plugin's file cannot be read.
pub fn provenance(registry: &Registry) -> Result<Value> {
    let components = registry.components().iter().map(|component| {
        let library = &component.library;
        let description = &component.description;
        Ok(json!({
            "kind": description.kind, "name": description.name, "package": library.hello.package,
            "version": library.hello.version, "sdk": library.hello.sdk_version, "file": library.path, "sha256": library.hash()?,
        }))
    });
    Ok(Value::Array(components.collect::<Result<_>>()?))
}
