//! Stage: a policy's paths are judged (method, section 7).

use crate::evaluation::path_metrics::Attributes;
use crate::evaluation::{Evaluation, path_metrics};
use crate::examples::{Examples, random_targets};
use crate::plugins::{ForeignPolicy, ForeignRewardModel};
use crate::progress::Progress;
use crate::random_streams::seed_torch;
use crate::settings::schema::EvaluationSplit;
use crate::settings::schema::ImitationExamples;
use crate::stages::reward_model::TrainedReward;
use crate::workbench::Workbench;
use anyhow::{Result, bail};
use prorl_sdk::policy::Decoding;
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use tch::{Kind, Tensor, no_grad};

/// A reward model that scores validation paths during training.
pub struct Judge<'a> {
    /// Name of its component.
    pub name: &'a str,
    /// The model.
    pub model: &'a mut ForeignRewardModel,
}

/// Prompts decoded at once during validation.
const VALIDATION_BATCH: i64 = 128;

/// What a reward model says of a policy's beams on validation prompts; means over the prompts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// IoI of the beam with the largest, nats.
    pub ioi_max: f64,
    /// IoI of the likeliest beam, nats.
    pub ioi: f64,
    /// CTR of the likeliest beam.
    pub ctr: f64,
}

/// Judges the beams that the settings ask for, on `prompts`.
///
/// # Errors
/// A plugin fails.
pub fn validate(
    bench: &Workbench,
    policy: &mut ForeignPolicy,
    judge: &mut Judge<'_>,
    prompts: &Prompts,
) -> Result<Validation> {
    let decoding = Decoding::beam(bench.settings.evaluation.beams);
    let share = bench.processes.share(prompts.len() as usize);
    let own = prompts.narrow(share.start as i64, share.len() as i64);
    let mut totals = [0.0; 3];
    for start in (0..own.len()).step_by(VALIDATION_BATCH as usize) {
        let part = own.narrow(start, VALIDATION_BATCH.min(own.len() - start));
        let sums = no_grad(|| -> Result<[f64; 3]> {
            let paths = policy.rollout(&part, &decoding)?.paths();
            let scores = judge.model.score_paths(&part, &paths)?;
            let reaction = path_metrics::reaction(&paths, &scores, i64::MAX);
            let sum = |values: Tensor| values.sum(Kind::Double).double_value(&[]);
            let likeliest = |values: &Tensor| sum(values.select(1, 0));
            Ok([sum(reaction.ioi.amax(1, false)), likeliest(&reaction.ioi), likeliest(&reaction.ctr)])
        })?;
        totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    let mean = |total| Ok::<_, anyhow::Error>(bench.processes.sum(total, "validation")? / prompts.len().max(1) as f64);
    Ok(Validation { ioi_max: mean(totals[0])?, ioi: mean(totals[1])?, ctr: mean(totals[2])? })
}

/// Validation prompts with targets drawn at random, as test prompts have them; the same for every policy.
pub fn validation_prompts(bench: &Workbench, count: usize) -> Option<Prompts> {
    let examples = bench.examples(&bench.dataset.validation);
    let rows: Vec<u32> = (0..examples.len().min(count) as u32).collect();
    if rows.is_empty() {
        return None;
    }
    let prompts = examples.prompts(&rows);
    seed_torch(bench.settings.seed, "validation-targets", 0, 0);
    let target = random_targets(&prompts.history, &bench.known_items());
    Some(Prompts { target, ..prompts })
}

/// A policy's figures on the prompts of the chosen split.
pub struct Judged {
    /// Of its likeliest beams.
    pub beams: Evaluation,
    /// Of the one beam that the reward model prefers: what re-ranking alone can do, without any learning.
    pub best_of: Evaluation,
}

/// Judges `policy` on the prompts of the chosen split by every evaluator; the first of them re-ranks.
///
/// # Errors
/// There is no prompt, or a plugin fails.
pub fn evaluate(
    bench: &Workbench,
    policy: &mut ForeignPolicy,
    evaluators: &mut [TrainedReward],
    label: &str,
) -> Result<Judged> {
    let settings = &bench.settings.evaluation;
    let examples = match settings.split {
        EvaluationSplit::Test => bench.examples(&bench.dataset.test),
        EvaluationSplit::Validation => bench.examples(&bench.dataset.validation),
    };
    let count = if settings.prompts == 0 { examples.len() } else { examples.len().min(settings.prompts as usize) };
    if count == 0 {
        bail!("there is no prompt to evaluate on; `prorl-host data stats` shows what was read");
    }
    let attributes = bench.attributes();
    let wanted = &bench.settings.evaluator.names;
    let decoding = Decoding::beam(settings.beams);
    let known = bench.known_items();
    let new = || Evaluation::new(&settings.cutoffs, &known);
    let mut judged = Judged { beams: new(), best_of: new() };
    let rows: Vec<u32> = bench.processes.share(count).map(|row| row as u32).collect();
    let mut progress = Progress::new(&format!("evaluation of {label}"), rows.len() as u64, "prompts");
    for rows in rows.chunks(settings.batch as usize) {
        let prompts = examples.prompts(rows);
        no_grad(|| judge_batch(policy, evaluators, wanted, &prompts, &decoding, &attributes, &mut judged))?;
        progress.advance(rows.len() as u64);
    }
    progress.finish();
    Ok(Judged { beams: judged.beams.of_all(&bench.processes)?, best_of: judged.best_of.of_all(&bench.processes)? })
}

fn judge_batch(
    policy: &mut ForeignPolicy,
    evaluators: &mut [TrainedReward],
    wanted: &[String],
    prompts: &Prompts,
    decoding: &Decoding,
    attributes: &Attributes,
    judged: &mut Judged,
) -> Result<()> {
    let paths = policy.rollout(prompts, decoding)?.paths();
    let Some(reward) = evaluators.first_mut() else { bail!("there is no reward model to judge by") };
    let best = preferred(&paths, &reward.model.score_paths(prompts, &paths)?);
    for (paths, evaluation) in [(&paths, &mut judged.beams), (&best, &mut judged.best_of)] {
        evaluation.add_shapes(prompts, paths, attributes);
        for evaluator in evaluators.iter_mut().filter(|evaluator| wanted.contains(&evaluator.name)) {
            let scores = evaluator.model.score_paths(prompts, paths)?;
            evaluation.add_reactions(&evaluator.name, paths, &scores);
            if evaluator.details {
                evaluation.add_details(&evaluator.name, paths, &evaluator.model.path_details(prompts, paths)?);
            }
        }
    }
    Ok(())
}

/// Of every prompt's paths the one with the largest IoI. // [B, 1, P]
fn preferred(paths: &Paths, scores: &PathScores) -> Paths {
    let best = path_metrics::reaction(paths, scores, i64::MAX).ioi.argmax(1, true); // [B, 1]
    let width = paths.items.size()[2];
    Paths {
        items: paths.items.gather(1, &best.unsqueeze(-1).expand([-1, 1, width], false), false),
        length: paths.length.gather(1, &best, false),
        stopped: paths.stopped.gather(1, &best, false),
        tokens: None,
    }
}

impl Workbench {
    /// Examples as tensors on the device.
    pub fn examples(&self, examples: &[prorl_data::Example]) -> Examples {
        Examples::new(
            examples,
            self.settings.data.history as usize,
            self.settings.data.path_items as usize,
            self.device,
        )
    }

    /// What the policy imitates.
    pub fn imitated(&self) -> Examples {
        let data = &self.settings.data;
        match self.settings.imitation.examples {
            ImitationExamples::Examples => self.examples(&self.dataset.train),
            ImitationExamples::SubRuns => {
                // A path has one item less than its run, and room for its stop.
                self.examples(&self.dataset.sub_runs(data.history as usize, data.path_items as usize))
            }
        }
    }

    /// Items that some sequence holds: targets are drawn from them, for nothing is known of the others. // [N]
    pub fn known_items(&self) -> Tensor {
        let mut items = self.dataset.sequences.items().to_vec();
        items.sort_unstable();
        items.dedup();
        let items: Vec<i64> = items.into_iter().map(i64::from).collect();
        Tensor::from_slice(&items).to_device(self.device)
    }

    /// Which items share an attribute.
    pub fn attributes(&self) -> Attributes {
        let catalogue = &self.dataset.catalogue;
        let (offsets, values) = (catalogue.attribute_offsets(), catalogue.attribute_values());
        Attributes::new(offsets, values, catalogue.attribute_names().len(), self.device)
    }
}
