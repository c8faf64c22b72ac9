//! The estimator of REINFORCE (Williams 1992) on the step rewards of the method's sections 5 and 6.1.

use crate::parameters::ReinforceParameters;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, returns};

/// Every action of a path is weighted by the path's return less a baseline: neither centred nor per position.
#[derive(Debug)]
pub struct Reinforce {
    parameters: ReinforceParameters,
    rewards: StepRewards,
    baseline: PathBaseline,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!(
    "reinforce",
    "Every action is weighted by the return of its whole path (REINFORCE).",
    Reinforce
);

impl Algorithm for Reinforce {
    type Parameters = ReinforceParameters;

    fn create(parameters: ReinforceParameters, _: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let baseline = PathBaseline::new(parameters.baseline, parameters.momentum);
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, baseline, penalty })
    }

    fn requirements(&self) -> Requirements {
        self.penalty.requirements()
    }

    /// `A = Σ_s γ^s r_s − b` for every action of the path.
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
        let advantage = &whole - self.baseline.of(&whole, &counted, collective)?; // [B, G]
        let values = advantage.unsqueeze(-1).expand_as(&returns); // [B, G, P + 1]

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
