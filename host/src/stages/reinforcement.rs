//! Stage: the policy learns from the reward model, by whichever algorithm is chosen.
//!
//! prompts → rollout → scores → step rewards → advantages → log-probabilities → loss → step. The algorithm owns
//! its estimator; the loop, its seeds, its checkpoints and its figures are here.

mod accumulation;
mod alarms;
mod batches;
mod checkpoints;
mod figures;
mod rollouts;
mod selection;
mod update;

use crate::metric_log::MetricLog;
use crate::plugins::{ForeignAlgorithm, ForeignPolicy};
use crate::processes::Whole;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::settings::schema::{Rl, RlSelection};
use crate::stages::evaluation::{Judge, validate, validation_prompts};
use crate::training::adamw::AdamWOptions;
use crate::training::descent::Descent;
use crate::training::schedule::Schedule;
use crate::workbench::Workbench;
use alarms::Alarms;
use anyhow::{Context, Result, bail};
use batches::PromptBatches;
use checkpoints::Checkpoints;
use figures::EpochFigures;
use prorl_sdk::algorithm::{Progress as Standing, Requirements, ScoredPaths};
use prorl_sdk::export::description::Kind as ComponentKind;
use prorl_sdk::policy::{Decoding, Query};
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use prorl_sdk::rewards;
use prorl_sdk::setup::Setup;
use selection::Selection;
use serde_json::Value;
use tch::{Tensor, no_grad};

pub use figures::declarations;

/// Everything that takes part in the loop.
pub struct Reinforcement<'a> {
    bench: &'a Workbench,
    settings: &'a Rl,
    policy: &'a mut ForeignPolicy,
    reference: Option<ForeignPolicy>,
    judge: Judge<'a>,
    algorithm: ForeignAlgorithm,
    requirements: Requirements,
    /// Whether the algorithm may end a batch's updates.
    stops_early: bool,
    descent: Descent<'a>,
    schedule: Schedule,
    batches: PromptBatches,
    decoding: Decoding,
}

/// Trains `policy` in place; `reference` is the policy from which training starts, if the algorithm wants one.
///
/// # Errors
/// A plugin fails, the loss stops being finite, or a checkpoint cannot be written; the last checkpoint is
/// intact in every case.
pub fn train(
    bench: &Workbench,
    policy: &mut ForeignPolicy,
    mut reference: ForeignPolicy,
    mut judge: Judge<'_>,
    run: &RunFolder,
    log: &mut MetricLog,
) -> Result<Vec<Value>> {
    let validation = validation_prompts(bench, bench.settings.rl.validation_prompts as usize);
    let before = match &validation {
        // Of the reference and not of the policy, which may be taken up in the middle of its training.
        Some(prompts) if bench.settings.rl.select == RlSelection::Clickable => {
            Some(validate(bench, &mut reference, &mut judge, prompts)?)
        }
        _ => None,
    };
    let selection = Selection::new(&bench.settings.rl, before);
    let mut stage = Reinforcement::new(bench, policy, reference, judge)?;
    let description = &bench.registry.find(ComponentKind::Algorithm, &bench.settings.algo.name)?.description;
    log.declare(&declarations())?;
    log.declare(&description.metrics)?;
    let mut checkpoints = Checkpoints::new(run, stage.settings, &bench.processes)?;
    let (start, mut curve) = checkpoints.resume(&mut stage)?;
    log.rewind("rl", start)?;
    let mut progress =
        Progress::new(&format!("rl {}", bench.settings.algo.name), stage.schedule.steps, "steps").resumed_at(start);
    let mut epoch_figures = EpochFigures::new();
    let mut alarms = Alarms::new(bench.settings.data.path_items);
    for step in start..stage.schedule.steps {
        let figures = stage.step(step).with_context(|| format!("step {step} of reinforcement learning"))?;
        let epoch = stage.batches.epoch_of(step);
        log.write("rl", step, epoch, figures.values())?;
        for sentence in alarms.watch(&figures) {
            log::warn!("step {step}: {sentence}");
        }
        progress.note("ioi", figures.get("rollout/ioi"));
        progress.note("length", figures.get("rollout/length"));
        progress.advance(1);
        epoch_figures.add(&figures);
        let last = step + 1 == stage.schedule.steps;
        let ends_epoch = last || stage.batches.epoch_of(step + 1) != epoch;
        let found = match &validation {
            Some(prompts) if last || selection.is_due(step, epoch, ends_epoch) => {
                Some(validate(bench, stage.policy, &mut stage.judge, prompts)?)
            }
            _ => None,
        };
        if let Some(found) = &found {
            let figures = [("ioi_max", found.ioi_max), ("ioi", found.ioi), ("ctr", found.ctr)];
            log.write("rl", step, epoch, &figures.map(|(name, value)| (format!("validation/{name}"), value)))?;
            checkpoints.keep_best(&stage, step, selection.score(found))?;
        }
        if ends_epoch {
            curve.push(epoch_figures.finish(epoch, step, found.map(|found| found.ioi_max)));
        }
        if last || (step + 1) % stage.settings.checkpoint_every.max(1) as u64 == 0 {
            checkpoints.save(&stage, step + 1, &curve)?;
        }
    }
    progress.finish();
    if !selection.takes_last() {
        checkpoints.take_best(&mut stage)?;
    }
    Ok(curve)
}

impl<'a> Reinforcement<'a> {
    fn new(
        bench: &'a Workbench,
        policy: &'a mut ForeignPolicy,
        reference: ForeignPolicy,
        judge: Judge<'a>,
    ) -> Result<Self> {
        let settings = &bench.settings.rl;
        let parameters = Value::Object(bench.settings.algo.parameters.clone());
        let batches = PromptBatches::new(bench)?;
        let setup = Setup { hidden: hidden_width(bench, policy, &batches)?, ..bench.setup(None) };
        let algorithm = bench.registry.algorithm(&bench.settings.algo.name, &parameters, &setup)?;
        let requirements = algorithm.requirements()?;
        let component = bench.registry.find(ComponentKind::Algorithm, &bench.settings.algo.name)?;
        let stops_early = component.description.has("early_stop");
        check_blocks(bench, &batches, &requirements)?;
        let steps =
            if settings.steps > 0 { settings.steps as u64 } else { batches.per_epoch() * settings.epochs as u64 };
        let own = algorithm.parameters()?.into_iter().map(|(name, tensor)| (format!("algorithm.{name}"), tensor));
        let options = AdamWOptions { weight_decay: settings.weight_decay, clip: settings.clip, ..Default::default() };
        let descent =
            Descent::new(&bench.processes, policy.parameters()?, own.collect(), options, bench.settings.micro_batch)?;
        if descent.optimiser().is_empty() {
            bail!("the policy `{}` has nothing that could be trained", bench.settings.policy.name);
        }
        let decoding = Decoding {
            temperature: settings.temperature,
            top_k: settings.top_k,
            top_p: settings.top_p,
            ..Decoding::sample(settings.group)
        };
        let warmup = (settings.warmup * steps as f64).round() as u64;
        let schedule = Schedule { peak: settings.learning_rate, warmup, steps, shape: settings.schedule };
        let reference = requirements.reference.then_some(reference);
        Ok(Self {
            bench,
            settings,
            policy,
            reference,
            judge,
            algorithm,
            requirements,
            stops_early,
            descent,
            schedule,
            batches,
            decoding,
        })
    }

    /// One batch of prompts, from rollout to update.
    fn step(&mut self, step: u64) -> Result<figures::StepFigures> {
        let mut figures = figures::StepFigures::new();
        let prompts = self.batches.prompts(step);
        let drawn = self.draw(&prompts, step, &mut figures)?;
        let hidden = drawn.behaviour.as_ref().and_then(|it| it.hidden.as_ref()).map(Tensor::shallow_clone);
        let scored = ScoredPaths { hidden, ..rewards::steps(&drawn.paths, &drawn.scores) };
        let processes = &self.bench.processes;
        let sizes = |rank| processes.blocks_of(rank, self.batches.size()).iter().map(|block| block.len() as i64).sum();
        let all = Whole::new(processes, (0..processes.count()).map(sizes).collect());
        let of_all = all.scored(&scored)?;
        figures.describe(&of_all.paths(), &of_all);
        figures.describe_entropy(&all.tensor(&drawn.score, "scores")?);
        let standing = self.standing(step);
        let advantages = self.algorithm.prepare(&scored, &standing, processes.collective())?;
        figures.add_metrics(&all.means(&advantages.metrics)?);
        let started = std::time::Instant::now();
        if of_all.length.max().int64_value(&[]) == 0 {
            log::warn!("step {step}: no path of the batch holds an item; nothing to learn from");
        } else {
            self.update(drawn, &advantages, &standing, &mut figures)?;
        }
        figures.put("time/update", started.elapsed().as_secs_f64());
        figures.put("train/learning_rate", self.schedule.rate(step));
        Ok(figures)
    }

    fn scores(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        let model = &mut *self.judge.model;
        Ok(match self.settings.left_padded_rewards {
            true => model.left_padded_scores(prompts, paths)?,
            false => model.score_paths(prompts, paths)?,
        })
    }

    fn standing(&self, step: u64) -> Standing {
        Standing { epoch: self.batches.epoch_of(step) as i64, step: step as i64, steps: self.schedule.steps as i64 }
    }
}

/// Every block must have a prompt for every minibatch.
fn check_blocks(bench: &Workbench, batches: &PromptBatches, requirements: &Requirements) -> Result<()> {
    let (blocks, minibatches) = (bench.processes.block_count(), requirements.minibatches.max(1) as usize);
    if blocks == 1 || batches.size() >= blocks * minibatches {
        return Ok(());
    }
    bail!(
        "a batch of {} prompts (`rl.prompts`, or all that there are) cannot be cut into {blocks} blocks \
         (`processes.blocks`, or the number of processes) of {minibatches} minibatches; raise `rl.prompts` to at least {}",
        batches.size(),
        blocks * minibatches
    )
}

/// Width of the policy's hidden states, 0 where it has none: seen on one prompt.
fn hidden_width(bench: &Workbench, policy: &mut ForeignPolicy, batches: &PromptBatches) -> Result<i64> {
    let component = bench.registry.find(ComponentKind::Policy, &bench.settings.policy.name)?;
    if !component.description.has("hidden") {
        return Ok(0);
    }
    let prompt = batches.prompts(0).narrow(0, 1);
    no_grad(|| {
        let paths = policy.rollout(&prompt, &Decoding::beam(1))?.paths();
        let query = Query { hidden: true, ..Query::plain() };
        Ok(policy.log_probs(&prompt, &paths, &query)?.hidden.map_or(0, |hidden| hidden.size()[3]))
    })
}
