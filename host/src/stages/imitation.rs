//! Stage: a policy learns to imitate the paths that users took (method, section 3).

use crate::artefacts::key;
use crate::checkpoint;
use crate::examples::Examples;
use crate::plugins::ForeignPolicy;
use crate::processes::Processes;
use crate::progress::Progress;
use crate::random_streams::{seed_torch, shuffled, stream};
use crate::settings::schema::ImitationSelection;
use crate::stages::evaluation::{Judge, validate};
use crate::training::adamw::AdamWOptions;
use crate::training::descent::Descent;
use crate::training::schedule::Schedule;
use crate::training::weights;
use crate::workbench::Workbench;
use anyhow::{Result, bail};
use prorl_sdk::export::description::Kind;
use prorl_sdk::prompts::Prompts;
use prorl_sdk::tokenizer::CodeTable;
use serde_json::{Value, json};
use std::time::Instant;
use tch::{Kind as Scalar, Tensor, no_grad};

/// Examples whose loss is computed at once.
const EVALUATION_BATCH: usize = 256;

/// A policy that imitates.
pub struct Imitator {
    /// The policy, not training.
    pub policy: ForeignPolicy,
    /// Seconds that training took when it was done.
    pub seconds: f64,
}

/// The imitation policy, from the cache if the same was trained before. A policy without weights is as it is made.
///
/// `judge` scores validation paths where the settings select by reward.
///
/// # Errors
/// There is no training example, or a plugin fails.
pub fn trained(bench: &Workbench, codes: &CodeTable, judge: &mut Judge<'_>) -> Result<Imitator> {
    let mut policy = bench.policy(codes)?;
    policy.set_training(false)?;
    if !policy.parameters()?.iter().any(|(_, weight)| weight.requires_grad()) {
        log::info!("imitation: the policy `{}` has nothing to learn", bench.settings.policy.name);
        return Ok(Imitator { policy, seconds: 0.0 });
    }
    let settings = &bench.settings.imitation;
    let parameters = Value::Object(bench.settings.policy.parameters.clone());
    let mut inputs = bench.with_blocks(json!({
        "data": bench.data_hash,
        "policy": bench.fingerprint(Kind::Policy, &bench.settings.policy.name, &parameters)?,
        "codes": crate::artefacts::tensor_hash(&codes.codes)?,
        "training": settings,
        "seed": bench.settings.seed,
    }));
    if settings.select == ImitationSelection::Ioi {
        let reward = bench.model_parameters(judge.name);
        inputs["reward"] = bench.fingerprint(Kind::RewardModel, judge.name, &reward)?;
    }
    let folder = bench.artefact(&key("imitation", &inputs), |folder| -> Result<()> {
        let meta = train(bench, &mut policy, judge)?;
        if let Some(folder) = folder {
            checkpoint::save(folder, "model", &policy.parameters()?, &meta)?;
        }
        Ok(())
    })?;
    let saved = checkpoint::load(&folder.join("model.safetensors"))?;
    checkpoint::copy_into(&policy.parameters()?, &saved)?;
    policy.set_training(false)?;
    Ok(Imitator { policy, seconds: saved.meta["seconds"].as_f64().unwrap_or_default() })
}

/// Trains `policy` and leaves it with the weights of its best epoch.
fn train(bench: &Workbench, policy: &mut ForeignPolicy, judge: &mut Judge<'_>) -> Result<Value> {
    let settings = &bench.settings.imitation;
    let started = Instant::now();
    let (train, validation) = (bench.imitated(), bench.examples(&bench.dataset.validation));
    if train.is_empty() {
        bail!("there is no training example; `prorl-host data stats` shows what was dropped and why");
    }
    let options = AdamWOptions { weight_decay: settings.weight_decay, clip: settings.clip, ..Default::default() };
    let mut descent =
        Descent::new(&bench.processes, policy.parameters()?, Vec::new(), options, bench.settings.micro_batch)?;
    let schedule = schedule(bench, train.len());
    let (mut best, mut best_weights, mut stale, mut curve) = (f64::NEG_INFINITY, Vec::new(), 0, Vec::new());
    let mut progress = Progress::new("imitation", schedule.steps, "steps");
    for epoch in 0..settings.epochs as u64 {
        let loss = epoch_loss(bench, policy, &mut descent, &schedule, &train, epoch, &mut progress)?;
        let last = epoch + 1 == settings.epochs as u64;
        if !last && (epoch + 1) % settings.validate_every.max(1) as u64 != 0 {
            continue;
        }
        let score = score(bench, policy, &validation, judge)?;
        curve.push(json!({ "epoch": epoch, "loss": loss, "score": score }));
        progress.note("score", score);
        stale = if score > best { 0 } else { stale + 1 };
        if score > best || best_weights.is_empty() {
            best = score;
            best_weights = weights::kept(policy.parameters()?);
        }
        if settings.patience > 0 && stale >= settings.patience {
            break;
        }
    }
    progress.finish();
    weights::restore(&policy.parameters()?, &best_weights);
    Ok(json!({ "best": best, "curve": curve, "seconds": started.elapsed().as_secs_f64() }))
}

fn schedule(bench: &Workbench, examples: usize) -> Schedule {
    let settings = &bench.settings.imitation;
    let steps = examples.div_ceil(settings.batch as usize) as u64 * settings.epochs as u64;
    let warmup = settings.warmup_steps as u64;
    Schedule { peak: settings.learning_rate, warmup, steps, shape: settings.schedule }
}

fn epoch_loss(
    bench: &Workbench,
    policy: &mut ForeignPolicy,
    descent: &mut Descent<'_>,
    schedule: &Schedule,
    train: &Examples,
    epoch: u64,
    progress: &mut Progress,
) -> Result<f64> {
    let settings = &bench.settings.imitation;
    let order = shuffled(train.len() as u32, stream(bench.settings.seed, "imitation-order", epoch, 0));
    policy.set_training(true)?;
    seed_torch(bench.settings.seed, "imitation-dropout", epoch, 0);
    let batches = order.chunks(settings.batch as usize);
    let count = batches.len() as u64;
    let mut total = Tensor::zeros([], (Scalar::Float, bench.device));
    for (index, rows) in batches.enumerate() {
        let step = epoch * count + index as u64;
        let (prompts, paths) = (estranged(train.prompts(rows), settings.strangers), train.paths(rows));
        let loss = descent.step(rows.len(), schedule.rate(step), |block| {
            bench.seed_block("imitation-dropout", step, block);
            let (start, count) = (block.rows.start as i64, block.len() as i64);
            Ok(policy.imitation_loss(&prompts.narrow(start, count), &paths.narrow(start, count))?)
        })?;
        total += &loss;
        progress.note("loss", loss.double_value(&[]));
        progress.advance(1);
    }
    policy.set_training(false)?;
    let mean = total.double_value(&[]) / count.max(1) as f64;
    if !mean.is_finite() {
        bail!("the loss became {mean} in epoch {epoch}; lower `imitation.learning_rate`");
    }
    Ok(mean)
}

/// The same prompts with the histories of the first `share` of them exchanged; rows come in random order.
fn estranged(prompts: Prompts, share: f64) -> Prompts {
    let (all, some) = (prompts.len(), (prompts.len() as f64 * share).round() as i64);
    if some < 2 {
        return prompts;
    }
    let parts = [(1, some - 1), (0, 1), (some, all - some)].map(|(from, count)| prompts.history.narrow(0, from, count));
    Prompts { history: Tensor::cat(&parts, 0), ..prompts }
}

/// What the best epoch is chosen by; larger is better.
fn score(bench: &Workbench, policy: &mut ForeignPolicy, validation: &Examples, judge: &mut Judge<'_>) -> Result<f64> {
    let settings = &bench.settings.imitation;
    if validation.is_empty() {
        return Ok(0.0);
    }
    match settings.select {
        ImitationSelection::Ioi => {
            let rows: Vec<u32> = (0..validation.len().min(settings.validation_prompts as usize) as u32).collect();
            Ok(validate(bench, policy, judge, &validation.prompts(&rows))?.ioi_max)
        }
        ImitationSelection::Loss => Ok(-validation_loss(&bench.processes, policy, validation)?),
    }
}

/// Mean loss over validation examples, without dropout.
///
/// Whole batches are shared out, for a batch's mean depends on what else is in it.
fn validation_loss(processes: &Processes, policy: &mut ForeignPolicy, validation: &Examples) -> Result<f64> {
    let rows: Vec<u32> = (0..validation.len() as u32).collect();
    let mut total = 0.0;
    let own = |(index, _): &(usize, &[u32])| index % processes.count() == processes.rank();
    for (_, rows) in rows.chunks(EVALUATION_BATCH).enumerate().filter(own) {
        let loss = no_grad(|| policy.imitation_loss(&validation.prompts(rows), &validation.paths(rows)))?;
        total += loss.total.double_value(&[]) * rows.len() as f64;
    }
    Ok(processes.sum(total, "validation losses")? / validation.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estranged_prompts_keep_their_targets() {
        let history = Tensor::arange(10, (Scalar::Int64, tch::Device::Cpu)).view([5, 2]);
        let prompts = || Prompts { history: history.shallow_clone(), target: Tensor::from_slice(&[1_i64, 2, 3, 4, 5]) };
        let mixed = estranged(prompts(), 0.6);
        assert_eq!(mixed.target, prompts().target);
        assert_eq!(mixed.history, history.index_select(0, &Tensor::from_slice(&[1_i64, 2, 0, 3, 4])));
        assert_eq!(estranged(prompts(), 0.0).history, history);
    }
}
