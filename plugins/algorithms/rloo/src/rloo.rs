//! The estimator of RLOO (Kool et al. 2019; Ahmadian et al. 2024, equation 9).

use crate::parameters::RlooParameters;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, returns};

/// Every action is weighted by its path's return less the mean return of the *other* paths of the group.
#[derive(Debug)]
pub struct Rloo {
    parameters: RlooParameters,
    rewards: StepRewards,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!("rloo", "Return of a path less the mean of the group's others (RLOO).", Rloo);

impl Algorithm for Rloo {
    type Parameters = RlooParameters;

    fn create(parameters: RlooParameters, _: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, penalty })
    }

    fn requirements(&self) -> Requirements {
        self.penalty.requirements()
    }

    /// `A_i = R_i − mean of R_j over j ≠ i`.
    fn prepare(
        &mut self,
        scored: &ScoredPaths,
        progress: &Progress,
        collective: &dyn Collective,
    ) -> Result<Advantages> {
        self.penalty.adapt(collective)?;
        let paths = scored.paths();
        let (_, group, _) = paths.sizes();
        if group < 2 {
            return Err(Error::Input("RLOO compares the paths of a group: set `rl.group` to at least 2".into()));
        }
        let counted = baselines::counted(&paths); // [B, G]
        let rewards = self.rewards.of(scored, progress, collective)?; // [B, G, P]
        let returns = returns::discounted(&rewards, self.parameters.gamma); // [B, G, P + 1]
        let whole = returns.select(-1, 0); // [B, G]
        let advantage = &whole - baselines::leave_one_out(&whole, &counted); // [B, G]
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
        self.rewards.state().into_iter().chain(self.penalty.state()).collect()
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.rewards.load(&state)?;
        self.penalty.load(&state)
    }
}
