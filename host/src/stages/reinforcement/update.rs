//! From advantages to moved parameters: one update, or as many as the algorithm asks for.

use super::Reinforcement;
use super::figures::StepFigures;
use crate::random_streams::{shuffled, stream};
use anyhow::{Result, bail};
use prorl_sdk::algorithm::{Advantages, Batch, LogProbs, Moved, Progress};
use prorl_sdk::policy::{ActionLogProbs, Query};
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Tensor, no_grad};

/// A part of a batch's prompts with all that belongs to them.
struct Part {
    prompts: Prompts,
    paths: Paths,
    batch: Batch,
    behaviour: Option<ActionLogProbs>,
}

impl Reinforcement<'_> {
    /// Moves the parameters with one batch of judged paths.
    pub(super) fn update(
        &mut self,
        prompts: &Prompts,
        paths: &Paths,
        advantages: &Advantages,
        behaviour: Option<ActionLogProbs>,
        standing: &Progress,
        figures: &mut StepFigures,
    ) -> Result<()> {
        if paths.length.max().int64_value(&[]) == 0 {
            log::warn!("step {}: no path of the batch holds an item; nothing to learn from", standing.step);
            return Ok(());
        }
        let whole = Part {
            prompts: prompts.narrow(0, prompts.len()),
            paths: paths.narrow(0, prompts.len()),
            batch: batch(paths, advantages),
            behaviour,
        };
        let mut updates = 0;
        for epoch in 0..self.requirements.epochs.max(1) {
            for part in self.parts(&whole, standing, epoch) {
                if !self.descend(&part, standing, updates, figures)? {
                    log::debug!("step {}: the algorithm ended the batch after {updates} updates", standing.step);
                    return Ok(());
                }
                updates += 1;
            }
        }
        Ok(())
    }

    /// Whether the algorithm wants the next update with the batch; one without the capability wants them all.
    fn goes_on(&mut self, part: &Part, current: &ActionLogProbs) -> Result<bool> {
        let Some(behaviour) = part.behaviour.as_ref().filter(|_| self.stops_early) else {
            return Ok(true);
        };
        let share = Tensor::shallow_clone;
        let moved = Moved {
            current: current.digits.detach(),
            behaviour: share(&behaviour.digits),
            items: share(&part.paths.items),
            length: share(&part.paths.length),
            stopped: share(&part.paths.stopped),
        };
        Ok(self.algorithm.goes_on(&moved)?)
    }

    /// Log-probabilities and states under the policy that drew the paths, where several updates move away from it or
    /// the algorithm wants the states.
    pub(super) fn behaviour(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Option<ActionLogProbs>> {
        let wanted = &self.requirements;
        if wanted.epochs.max(1) * wanted.minibatches.max(1) == 1 && !wanted.hidden {
            return Ok(None);
        }
        let query = Query { hidden: wanted.hidden, ..Query::plain() };
        Ok(Some(no_grad(|| self.policy.log_probs(prompts, paths, &query))?))
    }

    fn parts(&self, whole: &Part, standing: &Progress, epoch: i64) -> Vec<Part> {
        let (prompts, minibatches) = (whole.prompts.len(), self.requirements.minibatches.max(1));
        if minibatches == 1 {
            return vec![whole.rows(None)];
        }
        let round = standing.step as u64 * self.requirements.epochs.max(1) as u64 + epoch as u64;
        let order = shuffled(prompts as u32, stream(self.bench.settings.rl_seed(), "minibatches", round, 0));
        let size = (prompts as usize).div_ceil(minibatches as usize).max(1);
        order
            .chunks(size)
            .map(|rows| {
                let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
                whole.rows(Some(&Tensor::from_slice(&rows).to_device(self.bench.device)))
            })
            .collect()
    }

    /// One update, after `earlier` with the same batch; false where the algorithm wants no more.
    fn descend(&mut self, part: &Part, standing: &Progress, earlier: u32, figures: &mut StepFigures) -> Result<bool> {
        let wanted = &self.requirements;
        let query = Query { entropy: wanted.entropy, distribution: wanted.distribution, hidden: wanted.hidden };
        self.optimiser.zero_grad();
        let reference = match self.reference.as_mut() {
            Some(reference) => {
                let query = Query { distribution: wanted.distribution, ..Query::plain() };
                Some(no_grad(|| reference.log_probs(&part.prompts, &part.paths, &query))?)
            }
            None => None,
        };
        let current = self.policy.log_probs(&part.prompts, &part.paths, &query)?;
        if earlier > 0 && !self.goes_on(part, &current)? {
            return Ok(false);
        }
        let behaviour = part.behaviour.as_ref().map(ActionLogProbs::share);
        let log_probs = LogProbs { current, reference, behaviour };
        let loss = self.algorithm.loss(&log_probs, &part.batch, standing)?;
        let value = loss.total.double_value(&[]);
        if !value.is_finite() {
            bail!(
                "the loss became {value}; the last checkpoint is intact: resume from it with a lower `rl.learning_rate`"
            );
        }
        loss.total.backward();
        let norm = self.optimiser.step(self.schedule.rate(standing.step as u64));
        figures.put("train/loss", value);
        figures.put("train/gradient_norm", norm.double_value(&[]));
        figures.add_metrics(&loss.metrics);
        Ok(true)
    }
}

fn batch(paths: &Paths, advantages: &Advantages) -> Batch {
    Batch {
        items: paths.items.shallow_clone(),
        length: paths.length.shallow_clone(),
        stopped: paths.stopped.shallow_clone(),
        advantages: advantages.values.shallow_clone(),
        extra: advantages.extra.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect(),
    }
}

impl Part {
    /// The given prompts of this part, or all.
    fn rows(&self, rows: Option<&Tensor>) -> Part {
        let pick = |tensor: &Tensor| rows.map_or_else(|| tensor.shallow_clone(), |rows| tensor.index_select(0, rows));
        let (items, length, stopped) = (pick(&self.paths.items), pick(&self.paths.length), pick(&self.paths.stopped));
        Part {
            prompts: Prompts { history: pick(&self.prompts.history), target: pick(&self.prompts.target) },
            batch: Batch {
                items: items.shallow_clone(),
                length: length.shallow_clone(),
                stopped: stopped.shallow_clone(),
                advantages: pick(&self.batch.advantages),
                extra: self.batch.extra.iter().map(|(name, tensor)| (name.clone(), pick(tensor))).collect(),
            },
            paths: Paths { items, length, stopped, tokens: self.paths.tokens.as_ref().map(pick) },
            behaviour: self.behaviour.as_ref().map(|it| ActionLogProbs {
                digits: pick(&it.digits),
                entropy: it.entropy.as_ref().map(pick),
                distribution: it.distribution.as_ref().map(pick),
                hidden: it.hidden.as_ref().map(pick),
            }),
        }
    }
}
