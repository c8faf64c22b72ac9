//! The estimator of reward-to-go (Sutton et al. 2000; "causality" in policy gradients) on the method's step rewards.

use crate::parameters::RewardToGoParameters;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, returns};

/// Every action is weighted by the rewards that come after it, not by those before.
#[derive(Debug)]
pub struct RewardToGo {
    parameters: RewardToGoParameters,
    rewards: StepRewards,
    baseline: PathBaseline,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!(
    "reward-to-go",
    "Every action is weighted by the rewards that come after it.",
    RewardToGo
);

impl Algorithm for RewardToGo {
    type Parameters = RewardToGoParameters;

    fn create(parameters: RewardToGoParameters, _: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let baseline = PathBaseline::new(parameters.baseline, parameters.momentum);
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, baseline, penalty })
    }

    fn requirements(&self) -> Requirements {
        self.penalty.requirements()
    }

    /// `A_t = Σ_{s≥t} γ^{s−t} r_s − b`.
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
        let baseline = self.baseline.of(&whole, &counted, collective)?; // broadcasts against [B, G]
        let values = &returns - baseline.unsqueeze(-1); // [B, G, P + 1]

        let mut advantages = Advantages::masked(&values, &paths);
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        Ok(advantages)
    }

    /// `(−Σ A·log π + β Σ KL − entropy Σ H) / #paths with an item`.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, _: &Progress) -> Result<Loss> {
        let paths = batch.paths();
        let log_prob = actions::mean_over_digits(&log_probs.current.digits, &paths); // [B, G, P + 1]
        let policy = -actions::per_path(&(log_prob * &batch.advantages), &paths); // scalar
        self.penalty.add_to(&policy, log_probs, &paths)
    }

    fn metrics() -> Vec<MetricDeclaration> {
        diagnostics::metrics()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.rewards.state().into_iter().chain(self.baseline.state()).chain(self.penalty.state()).collect()
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.rewards.load(&state)?;
        self.baseline.load(&state)?;
        self.penalty.load(&state)
    }
}
