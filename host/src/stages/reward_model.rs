//! Stage: a reward model learns the users, by leave-one-out on their sequences.
//!
//! Of every sequence the last item is the test, the one before it validation, the rest is learnt; ranks are
//! among all items; the epoch with the best validation MRR@10 is kept (method, section 4).

mod users;

use crate::artefacts::key;
use crate::checkpoint;
use crate::plugins::ForeignRewardModel;
use crate::processes::Processes;
use crate::progress::Progress;
use crate::random_streams::{seed_torch, shuffled, stream};
use crate::training::adamw::AdamWOptions;
use crate::training::descent::Descent;
use crate::training::weights;
use crate::truth::{self, Truth};
use crate::workbench::Workbench;
use anyhow::{Context, Result, bail};
use prorl_sdk::export::description::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use tch::{Device, Kind as Scalar, Tensor, no_grad};
use users::Users;

/// Ranking figures by name, e.g. `recall@10`.
pub type Ranking = BTreeMap<String, f64>;

/// Most sequences evaluated at once.
const EVALUATION_BATCH: usize = 512;
/// Most scores held at once, 256 MiB of them: of a large catalogue, fewer sequences are evaluated at once.
const EVALUATION_SCORES: usize = 1 << 26;

/// A trained model and how well it predicts.
pub struct TrainedReward {
    /// Name of its component.
    pub name: String,
    /// The model, not training.
    pub model: ForeignRewardModel,
    /// Whether it answers `path_details`.
    pub details: bool,
    /// Leave-one-out figures on the last items.
    pub test: Ranking,
    /// Seconds that training took when it was done.
    pub seconds: f64,
}

/// The reward model `name`, trained, from the cache if the same was trained before.
///
/// # Errors
/// The data have no sequence of three items, or the plugin fails.
pub fn trained(bench: &Workbench, name: &str) -> Result<TrainedReward> {
    let parameters = bench.model_parameters(name);
    let inputs = bench.with_blocks(json!({
        "data": bench.data_hash,
        "model": bench.fingerprint(Kind::RewardModel, name, &parameters)?,
        "training": bench.settings.reward_training,
        "seed": bench.settings.seed,
    }));
    let mut model = bench.reward_model(name)?;
    let stage = format!("reward-{name}");
    let folder = bench.artefact(&key(&stage, &inputs), |folder| -> Result<()> {
        let meta = train(bench, name, &mut model)?;
        if let Some(folder) = folder {
            checkpoint::save(folder, "model", &model.parameters()?, &meta)?;
        }
        Ok(())
    })?;
    let saved = checkpoint::load(&folder.join("model.safetensors"))?;
    checkpoint::copy_into(&model.parameters()?, &saved)?;
    let meta = saved.meta;
    model.set_training(false)?;
    let test: Ranking = serde_json::from_value(meta["test"].clone()).unwrap_or_default();
    log::info!(
        "{name}: test recall@10 {:.4}, ndcg@10 {:.4}, mrr@10 {:.4}",
        test.get("recall@10").unwrap_or(&f64::NAN),
        test.get("ndcg@10").unwrap_or(&f64::NAN),
        test.get("mrr@10").unwrap_or(&f64::NAN)
    );
    let capabilities = &bench.registry.find(Kind::RewardModel, name)?.description.capabilities;
    let details = capabilities.iter().any(|capability| capability == "path_details");
    let seconds = meta["seconds"].as_f64().unwrap_or_default();
    Ok(TrainedReward { name: name.into(), model, details, test, seconds })
}

/// Trains `model` and leaves it with the weights of its best epoch.
fn train(bench: &Workbench, name: &str, model: &mut ForeignRewardModel) -> Result<Value> {
    let settings = &bench.settings.reward_training;
    let started = Instant::now();
    let users = Users::of(bench)?;
    let options = AdamWOptions { weight_decay: settings.weight_decay, clip: settings.clip, ..Default::default() };
    let mut descent =
        Descent::new(&bench.processes, model.parameters()?, Vec::new(), options, bench.settings.micro_batch)?;
    let (mut best, mut best_weights, mut stale, mut curve) =
        (f64::NEG_INFINITY, weights::kept(model.parameters()?), 0, Vec::new());
    let mut progress = Progress::new(&format!("reward model {name}"), settings.epochs as u64, "epochs");
    for epoch in 0..settings.epochs as u64 {
        let loss = epoch_loss(bench, model, &mut descent, &users, epoch)?;
        let validation = rank(&bench.processes, model, &users, 1)?;
        let score = validation["mrr@10"];
        curve.push(json!({ "epoch": epoch, "loss": loss, "validation": validation }));
        progress.note("loss", loss);
        progress.note("mrr@10", score);
        progress.advance(1);
        stale = if score > best { 0 } else { stale + 1 };
        if score > best {
            (best, best_weights) = (score, weights::kept(model.parameters()?));
        }
        if stale >= settings.patience {
            break;
        }
    }
    progress.finish();
    weights::restore(&model.parameters()?, &best_weights);
    let test = rank(&bench.processes, model, &users, 0)?;
    Ok(json!({ "test": test, "validation_mrr@10": best, "curve": curve, "seconds": started.elapsed().as_secs_f64() }))
}

fn epoch_loss(
    bench: &Workbench,
    model: &mut ForeignRewardModel,
    descent: &mut Descent<'_>,
    users: &Users,
    epoch: u64,
) -> Result<f64> {
    let settings = &bench.settings.reward_training;
    let order = shuffled(users.len(), stream(bench.settings.seed, "reward-order", epoch, 0));
    model.set_training(true)?;
    seed_torch(bench.settings.seed, "reward-dropout", epoch, 0);
    let (mut total, mut batches) = (Tensor::zeros([], (Scalar::Float, bench.device)), 0_u32);
    let steps = order.len().div_ceil(settings.batch as usize) as u64;
    for rows in order.chunks(settings.batch as usize) {
        let step = epoch * steps + u64::from(batches);
        total += descent.step(rows.len(), settings.learning_rate, |block| {
            bench.seed_block("reward-dropout", step, block);
            Ok(model.loss(&users.training(&rows[block.rows.clone()]))?)
        })?;
        batches += 1;
    }
    model.set_training(false)?;
    let mean = total.double_value(&[]) / f64::from(batches.max(1));
    if !mean.is_finite() {
        bail!(
            "the loss became {mean} in epoch {epoch}; lower `reward_training.learning_rate` or set `reward_training.clip`"
        );
    }
    Ok(mean)
}

/// Ranks the item that stands `held_out` places before the last one of every sequence.
fn rank(processes: &Processes, model: &mut ForeignRewardModel, users: &Users, held_out: i64) -> Result<Ranking> {
    let rows: Vec<u32> = processes.share(users.len() as usize).map(|row| row as u32).collect();
    let mut ranks = Vec::with_capacity(rows.len());
    let batch = (EVALUATION_SCORES / users.catalogue().max(1)).clamp(1, EVALUATION_BATCH);
    for rows in rows.chunks(batch) {
        let (items, next) = users.held_out(rows, held_out);
        let found = no_grad(|| -> Result<Tensor> {
            let scores = model.next_item_scores(&items)?; // [N, V + 1]
            let scores = scores.narrow(1, 1, scores.size()[1] - 1); // [N, V]
            let own = scores.gather(1, &(next - 1).unsqueeze(-1), false); // [N, 1]
            Ok(scores.gt_tensor(&own).sum_dim_intlist(-1, false, Scalar::Int64) + 1) // [N]
        })?;
        ranks.extend(Vec::<i64>::try_from(found.to_device(Device::Cpu))?);
    }
    let own: Vec<f64> = ranks.iter().map(|&rank| rank as f64).collect();
    let all = processes.numbers(&own, "ranks")?;
    Ok(ranking(&all.iter().flatten().map(|&rank| rank as i64).collect::<Vec<_>>()))
}

/// Recall, MRR, NDCG and precision at 10 and 20 of ranks from 1 (RecBole's formulas for one relevant item).
pub fn ranking(ranks: &[i64]) -> Ranking {
    let mut figures = Ranking::new();
    let count = ranks.len().max(1) as f64;
    for k in [10i64, 20] {
        let inside = || ranks.iter().filter(move |&&rank| rank <= k).map(|&rank| rank as f64);
        let recall = inside().count() as f64 / count;
        figures.insert(format!("recall@{k}"), recall);
        figures.insert(format!("precision@{k}"), recall / k as f64);
        figures.insert(format!("mrr@{k}"), inside().map(|rank| 1.0 / rank).sum::<f64>() / count);
        figures.insert(format!("ndcg@{k}"), inside().map(|rank| 1.0 / (rank + 1.0).log2()).sum::<f64>() / count);
    }
    figures
}

/// The true users of a generated world, who need no training; their leave-one-out figures are about the best
/// that a model of sequences can reach.
fn true_users(bench: &Workbench) -> Result<TrainedReward> {
    let Some(world) = &bench.world else { bail!("there is no truth of data that were not generated") };
    let truth = Truth::new(world, &bench.dataset, bench.settings.data.history as usize, bench.device)?;
    let mut model = truth.into_evaluator();
    let test = rank(&bench.processes, &mut model, &Users::of(bench)?, 0)?;
    Ok(TrainedReward { name: truth::NAME.into(), model, details: true, test, seconds: 0.0 })
}

/// The reward model that training uses, and all evaluators, each trained once.
///
/// # Errors
/// As for [`trained`].
pub fn all(bench: &Workbench) -> Result<Vec<TrainedReward>> {
    let mut names = vec![bench.settings.reward.name.clone()];
    names.extend(bench.settings.evaluator.names.iter().filter(|name| **name != bench.settings.reward.name).cloned());
    let made = |name: &String| if name == truth::NAME { true_users(bench) } else { trained(bench, name) };
    names.iter().map(|name| made(name).with_context(|| format!("reward model `{name}`"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ranking_figures_follow_their_formulas() {
        let figures = ranking(&[1, 10, 11, 100]);
        assert_eq!(figures["recall@10"], 0.5);
        assert_eq!(figures["recall@20"], 0.75);
        assert_eq!(figures["precision@10"], 0.05);
        assert!((figures["mrr@10"] - 1.1 / 4.0).abs() < 1e-12);
        assert!((figures["ndcg@10"] - (1.0 + 1.0 / 11f64.log2()) / 4.0).abs() < 1e-12);
    }
}
