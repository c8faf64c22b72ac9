//! Which prompts a step sees: a function of seed and step alone, so that a resumed run continues as if never
//! stopped.

use crate::examples::{Examples, random_targets};
use crate::random_streams::{seed_torch, shuffled, stream};
use crate::settings::schema::PromptTargets;
use crate::workbench::Workbench;
use anyhow::{Result, bail};
use prorl_sdk::prompts::Prompts;
use tch::{Kind, Tensor};

/// Batches of training prompts.
pub struct PromptBatches {
    examples: Examples,
    batch: usize,
    seed: u64,
    targets: PromptTargets,
    random_share: f64,
    candidates: Tensor, // [N]
}

impl PromptBatches {
    /// Batches over the training examples.
    ///
    /// # Errors
    /// There is no training example.
    pub fn new(bench: &Workbench) -> Result<Self> {
        let settings = &bench.settings.rl;
        let examples = bench.examples(&bench.dataset.train);
        if examples.is_empty() {
            bail!("there is no training prompt; `prorl-host data stats` shows what was dropped and why");
        }
        Ok(Self {
            batch: (settings.prompts as usize).min(examples.len()),
            examples,
            seed: bench.settings.rl_seed(),
            targets: settings.prompt_targets,
            random_share: settings.mixed_share,
            candidates: bench.known_items(),
        })
    }

    /// Prompts of a step, in all processes together.
    pub fn size(&self) -> usize {
        self.batch
    }

    /// Steps in an epoch; what does not fill a batch waits for another epoch's order.
    pub fn per_epoch(&self) -> u64 {
        (self.examples.len() / self.batch).max(1) as u64
    }

    /// The epoch to which a step belongs.
    pub fn epoch_of(&self, step: u64) -> u64 {
        step / self.per_epoch()
    }

    /// The prompts of a step, with targets as the settings want them.
    pub fn prompts(&self, step: u64) -> Prompts {
        let order = shuffled(self.examples.len() as u32, stream(self.seed, "prompt-order", self.epoch_of(step), 0));
        let start = (step % self.per_epoch()) as usize * self.batch;
        let prompts = self.examples.prompts(&order[start..start + self.batch]);
        if self.targets == PromptTargets::Own {
            return prompts;
        }
        seed_torch(self.seed, "prompt-targets", step, 0);
        let random = random_targets(&prompts.history, &self.candidates); // [B]
        let target = match self.targets {
            PromptTargets::Mixed => {
                let share = Tensor::rand([prompts.len()], (Kind::Float, random.device())); // [B]
                random.where_self(&share.lt(self.random_share), &prompts.target)
            }
            _ => random,
        };
        Prompts { target, ..prompts }
    }
}
