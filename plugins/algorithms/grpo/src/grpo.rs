//! The estimator of GRPO (Shao et al. 2024, section 4.1), with DAPO's two clipping bounds.

use crate::parameters::GrpoParameters;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, clipping, diagnostics, masked, returns};

/// Every action is weighted by its path's return, normalised within the group; ratios are clipped.
#[derive(Debug)]
pub struct Grpo {
    parameters: GrpoParameters,
    rewards: StepRewards,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!("grpo", "Group-normalised returns, clipped ratios (GRPO).", Grpo);

impl Algorithm for Grpo {
    type Parameters = GrpoParameters;

    fn create(parameters: GrpoParameters, _: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, penalty })
    }

    fn requirements(&self) -> Requirements {
        let GrpoParameters { epochs, minibatches, .. } = self.parameters;
        Requirements { epochs, minibatches, ..self.penalty.requirements() }
    }

    /// `A_i = (R_i − mean of R) / (σ of R + ε)` over the group.
    fn prepare(
        &mut self,
        scored: &ScoredPaths,
        progress: &Progress,
        collective: &dyn Collective,
    ) -> Result<Advantages> {
        self.penalty.adapt(collective)?;
        let paths = scored.paths();
        let counted = baselines::counted(&paths); // [B, G]
        let rewards = self.rewards.of(scored, progress, collective)?; // [B, G, P]
        let returns = returns::discounted(&rewards, self.parameters.gamma); // [B, G, P + 1]
        let whole = returns.select(-1, 0); // [B, G]
        let advantage = if self.parameters.normalise {
            baselines::group_normalised(&whole, &counted, self.parameters.epsilon) // [B, G]
        } else {
            &whole - baselines::group_mean(&whole, &counted) // [B, G]
        };
        let values = advantage.unsqueeze(-1).expand_as(&returns); // [B, G, P + 1]

        let mut advantages = Advantages::masked(&values, &paths);
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        Ok(advantages)
    }

    /// `−mean over paths of mean over actions of min(ρ·A, clip(ρ)·A)`, and the KL to the reference.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, _: &Progress) -> Result<Loss> {
        let GrpoParameters { clip_low, clip_high, path_mean, .. } = self.parameters;
        let paths = batch.paths();
        let ratio = clipping::ratio(log_probs); // [B, G, P + 1]
        let objective = clipping::surrogate(&ratio, &batch.advantages, clip_low, clip_high); // [B, G, P + 1]
        let policy = if path_mean {
            let means = masked::mean_over(&objective, &actions::active(&paths), -1).squeeze_dim(-1); // [B, G]
            -masked::mean(&means, &baselines::counted(&paths)) // scalar
        } else {
            -actions::per_path(&objective, &paths) // scalar
        };
        let clipped = clipping::clipped_share(&ratio, &paths, clip_low, clip_high);
        Ok(self.penalty.add_to(&policy, log_probs, &paths)?.with("algorithm/clipped", &clipped))
    }

    fn metrics() -> Vec<MetricDeclaration> {
        let mut metrics = diagnostics::metrics();
        metrics.push(diagnostics::clipped());
        metrics
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.rewards.state().into_iter().chain(self.penalty.state()).collect()
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.rewards.load(&state)?;
        self.penalty.load(&state)
    }
}
