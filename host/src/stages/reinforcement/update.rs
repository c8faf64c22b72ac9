//! From advantages to moved parameters: one update, or as many as the algorithm asks for.
//!
//! The algorithm's loss is that of the whole batch, in every process: the log-probabilities of all processes' prompts are
//! put together, of which a process's own are differentiable. The gradients of the processes then add up to that of the
//! batch, whatever the algorithm divides by.

use super::Reinforcement;
use super::accumulation;
use super::figures::StepFigures;
use super::rollouts::{Drawn, stacked};
use crate::processes::{Block, Processes, Whole};
use crate::random_streams::{shuffled, stream};
use anyhow::{Result, bail};
use prorl_sdk::algorithm::{Advantages, Batch, LogProbs, Moved, Progress};
use prorl_sdk::policy::{ActionLogProbs, Query};
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Kind, Tensor, no_grad};

/// A part of this process's prompts with all that belongs to them.
struct Part {
    prompts: Prompts,
    paths: Paths,
    batch: Batch,
    behaviour: Option<ActionLogProbs>,
    /// Log-probability of each path when it was drawn. // [B, G]
    score: Tensor,
    /// How many of the prompts each block has.
    sizes: Vec<i64>,
    /// How many prompts each process has.
    counts: Vec<i64>,
}

impl Reinforcement<'_> {
    /// Moves the parameters with one batch of judged paths.
    pub(super) fn update(
        &mut self,
        drawn: Drawn,
        advantages: &Advantages,
        standing: &Progress,
        figures: &mut StepFigures,
    ) -> Result<()> {
        let Drawn { prompts, paths, behaviour, score, sizes, .. } = drawn;
        let counts = counts(&self.bench.processes, self.batches.size(), 1, 0);
        let batch = batch(&paths, advantages);
        let whole = Part { prompts, paths, batch, behaviour, score, sizes, counts };
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
    fn goes_on(&mut self, batch: &Batch, log_probs: &LogProbs) -> Result<bool> {
        let Some(behaviour) = log_probs.behaviour.as_ref().filter(|_| self.stops_early) else {
            return Ok(true);
        };
        let share = Tensor::shallow_clone;
        let moved = Moved {
            current: log_probs.current.digits.detach(),
            behaviour: share(&behaviour.digits),
            items: share(&batch.items),
            length: share(&batch.length),
            stopped: share(&batch.stopped),
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

    /// The minibatches of an epoch over the batch: each has its share of every block.
    fn parts(&self, whole: &Part, standing: &Progress, epoch: i64) -> Vec<Part> {
        let minibatches = self.requirements.minibatches.max(1) as usize;
        if minibatches == 1 {
            let all = whole.counts.clone();
            return vec![whole.rows(None, whole.sizes.clone(), all)];
        }
        let (processes, seed) = (&self.bench.processes, self.bench.settings.rl_seed());
        let round = standing.step as u64 * self.requirements.epochs.max(1) as u64 + epoch as u64;
        let blocks = processes.blocks(self.batches.size());
        let first = blocks.first().map_or(0, |block| block.rows.start);
        let orders: Vec<Vec<u32>> = blocks
            .iter()
            .map(|block| shuffled(block.len() as u32, stream(seed, "minibatches", round, block.index)))
            .collect();
        let cut = |minibatch: usize| {
            let (mut rows, mut sizes) = (Vec::new(), Vec::new());
            for (block, order) in blocks.iter().zip(&orders) {
                let own = minibatch_rows(processes, block.len(), minibatches, minibatch);
                sizes.push(own.len() as i64);
                rows.extend(order[own].iter().map(|&row| (block.rows.start - first) as i64 + i64::from(row)));
            }
            let rows = Tensor::from_slice(&rows).to_device(self.bench.device);
            whole.rows(Some(&rows), sizes, counts(processes, self.batches.size(), minibatches, minibatch))
        };
        (0..minibatch_count(processes, self.batches.size(), minibatches)).map(cut).collect()
    }

    /// One update, after `earlier` with the same batch; false where the algorithm wants no more.
    fn descend(&mut self, part: &Part, standing: &Progress, earlier: u32, figures: &mut StepFigures) -> Result<bool> {
        loop {
            match self.try_descend(part, standing, earlier, figures) {
                Err(error) => self.descent.halve(part.largest_block(), error)?,
                done => return done,
            }
        }
    }

    fn try_descend(
        &mut self,
        part: &Part,
        standing: &Progress,
        earlier: u32,
        figures: &mut StepFigures,
    ) -> Result<bool> {
        self.descent.zero_grad();
        let (blocks, pieces) = (part.blocks(), part.pieces(self.descent.limit()));
        let in_pieces = pieces.len() > blocks.len();
        let reference = self.of_reference(&pieces)?;
        let current = match in_pieces {
            false => self.of_policy(&blocks)?,
            true => accumulation::leaves(&no_grad(|| self.of_policy(&pieces))?),
        };
        if earlier == 0 && self.decoding.is_the_policy() {
            figures.put("train/sampling_gap", self.sampling_gap(&current, part)?);
        }
        let all = Whole::new(&self.bench.processes, part.counts.clone());
        let together = |own: Option<&ActionLogProbs>| own.map(|own| all.log_probs(own)).transpose();
        let (reference, behaviour) = (together(reference.as_ref())?, together(part.behaviour.as_ref())?);
        let log_probs = LogProbs { current: all.log_probs(&current)?, reference, behaviour };
        let batch = all.batch(&part.batch)?;
        if earlier > 0 && !self.goes_on(&batch, &log_probs)? {
            return Ok(false);
        }
        let loss = self.algorithm.loss(&log_probs, &batch, standing)?;
        let value = loss.total.double_value(&[]);
        if !value.is_finite() {
            bail!(
                "the loss became {value}; the last checkpoint is intact: resume from it with a lower `rl.learning_rate`"
            );
        }
        match in_pieces {
            false => self.descent.backward_of_all(&loss.total)?,
            true => self.backward_in_pieces(&loss.total, &current, &pieces)?,
        }
        let norm = self.descent.apply(self.schedule.rate(standing.step as u64))?;
        figures.put("train/loss", value);
        figures.put("train/gradient_norm", norm.double_value(&[]));
        figures.add_metrics(&loss.metrics);
        Ok(true)
    }

    fn query(&self) -> Query {
        let wanted = &self.requirements;
        Query { entropy: wanted.entropy, distribution: wanted.distribution, hidden: wanted.hidden }
    }

    /// Largest difference between a path's log-probability when it was drawn and now that it is differentiated.
    fn sampling_gap(&self, current: &ActionLogProbs, part: &Part) -> Result<f64> {
        let now = current.digits.detach().sum_dim_intlist([-2, -1].as_slice(), false, Kind::Float); // [B, G]
        let own = (now - &part.score).abs().max().double_value(&[]);
        let all = self.bench.processes.numbers(&[own], "sampling gap")?;
        Ok(all.into_iter().flatten().fold(0.0, f64::max))
    }

    /// Log-probabilities under the policy, block after block.
    fn of_policy(&mut self, blocks: &[(Prompts, Paths)]) -> Result<ActionLogProbs> {
        let query = self.query();
        let of = |(prompts, paths): &(Prompts, Paths)| self.policy.log_probs(prompts, paths, &query);
        let parts = blocks.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        Ok(stacked(&parts.iter().collect::<Vec<_>>()))
    }

    /// Those under the policy that learning started from, where they are wanted.
    fn of_reference(&mut self, blocks: &[(Prompts, Paths)]) -> Result<Option<ActionLogProbs>> {
        let query = Query { distribution: self.requirements.distribution, ..Query::plain() };
        let Some(reference) = self.reference.as_mut() else { return Ok(None) };
        let of = |(prompts, paths): &(Prompts, Paths)| reference.log_probs(prompts, paths, &query);
        let parts = no_grad(|| blocks.iter().map(of).collect::<Result<Vec<_>, _>>())?;
        Ok(Some(stacked(&parts.iter().collect::<Vec<_>>())))
    }

    /// Runs backward from `loss` to the log-probabilities `current`, and on to the parameters for one piece after the
    /// other.
    fn backward_in_pieces(
        &mut self,
        loss: &Tensor,
        current: &ActionLogProbs,
        pieces: &[(Prompts, Paths)],
    ) -> Result<()> {
        loss.f_backward()?;
        let (query, policy) = (self.query(), &mut *self.policy);
        let mut start = 0;
        self.descent.backward_of_parts(pieces.len(), |piece| {
            let (prompts, paths) = &pieces[piece];
            let own = policy.log_probs(prompts, paths, &query)?;
            start += prompts.len();
            Ok(accumulation::carried_on(&own, current, start - prompts.len()))
        })
    }
}

/// Places in a block's order that belong to a minibatch.
fn minibatch_rows(processes: &Processes, block: usize, minibatches: usize, minibatch: usize) -> std::ops::Range<usize> {
    if processes.is_plain() {
        let size = block.div_ceil(minibatches).max(1);
        return (minibatch * size).min(block)..((minibatch + 1) * size).min(block);
    }
    crate::processes::share(block, minibatch, minibatches)
}

/// How many minibatches there are: fewer than asked for where a batch without blocks does not hold so many.
fn minibatch_count(processes: &Processes, batch: usize, minibatches: usize) -> usize {
    let size = batch.div_ceil(minibatches).max(1);
    if processes.is_plain() { batch.div_ceil(size) } else { minibatches }
}

/// Prompts of each process in a minibatch.
fn counts(processes: &Processes, batch: usize, minibatches: usize, minibatch: usize) -> Vec<i64> {
    let of_block = |rows: usize| match minibatches {
        1 => rows as i64,
        _ => minibatch_rows(processes, rows, minibatches, minibatch).len() as i64,
    };
    let of_process = |rank| processes.blocks_of(rank, batch).iter().map(|block| of_block(block.len())).sum();
    (0..processes.count()).map(of_process).collect()
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
    fn rows(&self, rows: Option<&Tensor>, sizes: Vec<i64>, counts: Vec<i64>) -> Part {
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
            score: pick(&self.score),
            sizes,
            counts,
        }
    }

    /// Prompts and paths of each block.
    fn blocks(&self) -> Vec<(Prompts, Paths)> {
        self.pieces(0)
    }

    /// Prompts and paths of each block, at most `limit` prompts at a time if that is not 0.
    fn pieces(&self, limit: usize) -> Vec<(Prompts, Paths)> {
        let (mut start, mut pieces) = (0, Vec::new());
        for &size in &self.sizes {
            let block = Block { index: 0, rows: start..start + size as usize };
            start = block.rows.end;
            pieces.extend(block.pieces(limit).into_iter().map(|piece| {
                let (first, count) = (piece.rows.start as i64, piece.len() as i64);
                (self.prompts.narrow(first, count), self.paths.narrow(first, count))
            }));
        }
        pieces
    }

    fn largest_block(&self) -> usize {
        self.sizes.iter().max().map_or(0, |&size| size as usize)
    }
}
