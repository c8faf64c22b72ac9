//! Paths drawn and judged, block after block: each block draws from a random stream of its own.

use super::Reinforcement;
use super::figures::StepFigures;
use crate::processes::Block;
use crate::random_streams::seed_torch;
use anyhow::Result;
use prorl_sdk::policy::{ActionLogProbs, Rollout};
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use tch::{Tensor, no_grad};

/// The paths of this process's prompts.
pub struct Drawn {
    /// The prompts.
    pub prompts: Prompts,
    /// Their paths.
    pub paths: Paths,
    /// Log-probability of each path when it was drawn. // [B, G]
    pub score: Tensor,
    /// What the reward model says of them.
    pub scores: PathScores,
    /// Under the policy that drew them, where it is wanted.
    pub behaviour: Option<ActionLogProbs>,
    /// How many of the prompts each block has.
    pub sizes: Vec<i64>,
}

impl Reinforcement<'_> {
    /// Draws and judges the paths of this process's blocks of a step's `prompts`.
    pub(super) fn draw(&mut self, prompts: &Prompts, step: u64, figures: &mut StepFigures) -> Result<Drawn> {
        let blocks = self.bench.processes.blocks(prompts.len() as usize);
        let parts = blocks.iter().map(|block| self.draw_block(prompts, block, step, figures));
        Ok(joined(parts.collect::<Result<_>>()?))
    }

    fn draw_block(&mut self, prompts: &Prompts, block: &Block, step: u64, figures: &mut StepFigures) -> Result<Drawn> {
        let prompts = prompts.narrow(block.rows.start as i64, block.len() as i64);
        seed_torch(self.bench.settings.rl_seed(), "rollout", step, block.index);
        let rollout = figures.timed("time/rollout", || no_grad(|| self.policy.rollout(&prompts, &self.decoding)))?;
        let paths = rollout.paths();
        let Rollout { score, .. } = rollout;
        let scores = figures.timed("time/reward", || no_grad(|| self.scores(&prompts, &paths)))?;
        let behaviour = self.behaviour(&prompts, &paths)?;
        Ok(Drawn { sizes: vec![prompts.len()], prompts, paths, score, scores, behaviour })
    }
}

/// Blocks one behind the other; a single one stays as it is.
fn joined(mut parts: Vec<Drawn>) -> Drawn {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    let cat = |of: &dyn Fn(&Drawn) -> &Tensor| Tensor::cat(&parts.iter().map(of).collect::<Vec<_>>(), 0);
    let tokens: Option<Vec<&Tensor>> = parts.iter().map(|part| part.paths.tokens.as_ref()).collect();
    let behaviour: Option<Vec<&ActionLogProbs>> = parts.iter().map(|part| part.behaviour.as_ref()).collect();
    Drawn {
        prompts: Prompts { history: cat(&|it| &it.prompts.history), target: cat(&|it| &it.prompts.target) },
        paths: Paths {
            items: cat(&|it| &it.paths.items),
            length: cat(&|it| &it.paths.length),
            stopped: cat(&|it| &it.paths.stopped),
            tokens: tokens.map(|tokens| Tensor::cat(&tokens, 0)),
        },
        score: cat(&|it| &it.score),
        scores: PathScores {
            target_log_prob: cat(&|it| &it.scores.target_log_prob),
            target_rank: cat(&|it| &it.scores.target_rank),
            click_prob: cat(&|it| &it.scores.click_prob),
        },
        behaviour: behaviour.map(|parts| stacked(&parts)),
        sizes: parts.iter().flat_map(|part| part.sizes.iter().copied()).collect(),
    }
}

/// Log-probabilities of several blocks one behind the other.
pub fn stacked(parts: &[&ActionLogProbs]) -> ActionLogProbs {
    if let [only] = parts {
        return only.share();
    }
    let optional = |of: fn(&ActionLogProbs) -> &Option<Tensor>| {
        let tensors: Option<Vec<&Tensor>> = parts.iter().map(|part| of(part).as_ref()).collect();
        tensors.map(|tensors| Tensor::cat(&tensors, 0))
    };
    ActionLogProbs {
        digits: Tensor::cat(&parts.iter().map(|part| &part.digits).collect::<Vec<_>>(), 0),
        entropy: optional(|it| &it.entropy),
        distribution: optional(|it| &it.distribution),
        hidden: optional(|it| &it.hidden),
    }
}
