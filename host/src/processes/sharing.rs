//! Rows of all processes put together, so that what is said of a batch is said of the whole batch.

use super::Processes;
use anyhow::Result;
use prorl_sdk::algorithm::{Batch, ScoredPaths};
use prorl_sdk::policy::ActionLogProbs;
use prorl_sdk::prompts::Paths;
use tch::Tensor;

/// Puts the rows of all processes together; this process's own stay differentiable.
pub struct Whole<'a> {
    processes: &'a Processes,
    /// Rows of each process.
    counts: Vec<i64>,
}

impl<'a> Whole<'a> {
    /// Of a batch to which process `r` brings `counts[r]` rows.
    pub fn new(processes: &'a Processes, counts: Vec<i64>) -> Self {
        Self { processes, counts }
    }

    /// Rows of all processes together.
    pub fn rows(&self) -> i64 {
        self.counts.iter().sum()
    }

    /// The rows of all processes, by rank.
    ///
    /// # Errors
    /// Another process is gone; so for all methods.
    pub fn tensor(&self, own: &Tensor, name: &str) -> Result<Tensor> {
        let Some(group) = self.processes.group() else { return Ok(own.shallow_clone()) };
        let all = group.gather_rows(own, &self.counts, name)?;
        if !own.requires_grad() {
            return Ok(all);
        }
        let start: i64 = self.counts[..self.processes.rank()].iter().sum();
        let end = start + own.size()[0];
        Ok(Tensor::cat(&[&all.narrow(0, 0, start), own, &all.narrow(0, end, self.rows() - end)], 0))
    }

    fn optional(&self, own: &Option<Tensor>, name: &str) -> Result<Option<Tensor>> {
        own.as_ref().map(|own| self.tensor(own, name)).transpose()
    }

    /// The paths of all, without their spelling.
    pub fn paths(&self, own: &Paths) -> Result<Paths> {
        Ok(Paths {
            items: self.tensor(&own.items, "items")?,
            length: self.tensor(&own.length, "lengths")?,
            stopped: self.tensor(&own.stopped, "stops")?,
            tokens: None,
        })
    }

    /// The judged paths of all, without the policy's states.
    pub fn scored(&self, own: &ScoredPaths) -> Result<ScoredPaths> {
        let Paths { items, length, stopped, .. } = self.paths(&own.paths())?;
        Ok(ScoredPaths {
            items,
            length,
            stopped,
            ioi: self.tensor(&own.ioi, "rewards")?,
            ior: self.tensor(&own.ior, "rewards")?,
            ctr: self.tensor(&own.ctr, "rewards")?,
            hidden: None,
        })
    }

    /// The batch of all.
    pub fn batch(&self, own: &Batch) -> Result<Batch> {
        let Paths { items, length, stopped, .. } = self.paths(&own.paths())?;
        let extra = own.extra.iter().map(|(name, tensor)| Ok((name.clone(), self.tensor(tensor, name)?)));
        Ok(Batch {
            items,
            length,
            stopped,
            advantages: self.tensor(&own.advantages, "advantages")?,
            extra: extra.collect::<Result<_>>()?,
        })
    }

    /// The log-probabilities of all.
    pub fn log_probs(&self, own: &ActionLogProbs) -> Result<ActionLogProbs> {
        Ok(ActionLogProbs {
            digits: self.tensor(&own.digits, "log-probabilities")?,
            entropy: self.optional(&own.entropy, "entropies")?,
            distribution: self.optional(&own.distribution, "distributions")?,
            hidden: self.optional(&own.hidden, "states of the policy")?,
        })
    }

    /// Means over rows become means over the rows of all.
    pub fn means(&self, own: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>> {
        if self.processes.count() == 1 {
            return Ok(own.iter().map(|(name, value)| (name.clone(), value.shallow_clone())).collect());
        }
        let values: Vec<f64> = own.iter().map(|(_, value)| value.double_value(&[])).collect();
        let all = self.processes.numbers(&values, "figures")?;
        let mean = |column: usize| {
            let sum: f64 = all.iter().zip(&self.counts).map(|(values, &count)| values[column] * count as f64).sum();
            sum / self.rows().max(1) as f64
        };
        Ok(own.iter().enumerate().map(|(column, (name, _))| (name.clone(), Tensor::from(mean(column)))).collect())
    }
}
