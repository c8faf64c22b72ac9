//! What is saved of reinforcement learning, and how it goes on from there.

use super::Reinforcement;
use crate::checkpoint::{self, Checkpoint, Contents, Keep, Loaded, NamedTensor, Store};
use crate::processes::Processes;
use crate::run_folder::RunFolder;
use crate::settings::schema::Rl;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Checkpoints of a run: the last few by step, and the best by validation.
pub struct Checkpoints {
    store: Store,
    keep: Keep,
    best: f64,
    /// Whether this process writes; all read.
    writes: bool,
}

/// Name of the checkpoint that validated best.
const BEST: &str = "best";
/// Prefix that tells an algorithm's weights from its state.
const WEIGHT: &str = "weight.";

impl Checkpoints {
    /// Checkpoints in the run's folder; what an interrupted write left is removed.
    pub fn new(run: &RunFolder, settings: &Rl, processes: &Processes) -> Result<Self> {
        let store = Store::at(&run.checkpoints());
        let writes = processes.is_first();
        if writes {
            store.recover()?;
        }
        processes.meet("looking for checkpoints")?;
        let keep = Keep::last(settings.keep_checkpoints.max(1) as usize);
        Ok(Self { store, keep, best: f64::NEG_INFINITY, writes })
    }

    /// Takes up the latest checkpoint, if there is one: the step to go on with, and the curve so far.
    pub fn resume(&mut self, stage: &mut Reinforcement<'_>) -> Result<(u64, Vec<Value>)> {
        let Some(latest) = self.store.latest()? else {
            return Ok((0, Vec::new()));
        };
        let saved = self.store.load(&latest)?;
        take_up(stage, &saved).with_context(|| format!("resuming from the checkpoint {latest}"))?;
        self.best = saved.state["best"].as_f64().unwrap_or(f64::NEG_INFINITY);
        let step = saved.state["step"].as_u64().unwrap_or_default();
        log::info!("resuming at step {step}");
        Ok((step, saved.state["curve"].as_array().cloned().unwrap_or_default()))
    }

    /// Saves the state before `step`, and forgets the oldest.
    pub fn save(&self, stage: &Reinforcement<'_>, step: u64, curve: &[Value]) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let best = self.best.is_finite().then_some(self.best);
        self.write(stage, &Store::step_name(step), &json!({ "step": step, "best": best, "curve": curve }))?;
        Ok(self.store.prune(&self.keep)?)
    }

    /// Saves the policy if it validates better than any before.
    pub fn keep_best(&mut self, stage: &Reinforcement<'_>, step: u64, score: Option<f64>) -> Result<()> {
        let Some(score) = score.filter(|&score| score > self.best) else {
            return Ok(());
        };
        self.best = score;
        self.write(stage, BEST, &json!({ "step": step, "best": score }))
    }

    /// Gives the policy the weights with which it validated best.
    pub fn take_best(&self, stage: &mut Reinforcement<'_>) -> Result<()> {
        stage.bench.processes.meet("the best policy is written")?;
        if !self.store.names()?.iter().any(|name| name == BEST) {
            log::warn!("no validation found a policy that `rl.select` would take; the last one is taken");
            return Ok(());
        }
        let saved = self.store.load(BEST)?;
        log::info!("taking the policy of step {}, which validated best", saved.state["step"]);
        Ok(checkpoint::copy_into(&stage.policy.parameters()?, &saved.model)?)
    }

    fn write(&self, stage: &Reinforcement<'_>, name: &str, state: &Value) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let mut algorithm = stage.algorithm.state()?;
        let weights = stage.algorithm.parameters()?;
        algorithm.extend(weights.into_iter().map(|(name, tensor)| (format!("{WEIGHT}{name}"), tensor)));
        let (model, optimiser) = (stage.policy.parameters()?, stage.descent.optimiser().state());
        self.store.save(name, &Contents { model: &model, optimiser: &optimiser, algorithm: &algorithm, state })?;
        Ok(())
    }
}

fn take_up(stage: &mut Reinforcement<'_>, saved: &Checkpoint) -> Result<()> {
    checkpoint::copy_into(&stage.policy.parameters()?, &saved.model)?;
    stage.descent.optimiser_mut().load_state(&saved.optimiser.tensors)?;
    let share = |(name, tensor): &NamedTensor| (name.clone(), tensor.shallow_clone());
    let (own, state): (Vec<NamedTensor>, Vec<NamedTensor>) =
        saved.algorithm.tensors.iter().map(share).partition(|(name, _)| name.starts_with(WEIGHT));
    let tensors = own.into_iter().map(|(name, tensor)| (name[WEIGHT.len()..].to_owned(), tensor)).collect();
    let own = Loaded { path: saved.algorithm.path.clone(), tensors, meta: Value::Null };
    checkpoint::copy_into(&stage.algorithm.parameters()?, &own)?;
    Ok(stage.algorithm.load_state(state)?)
}
