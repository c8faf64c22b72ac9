//! The estimator and the objective of ProRL (method, section 6).

use crate::parameters::ProRlParameters;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, returns};

/// Stepwise reward centring and position-specific advantages.
#[derive(Debug)]
pub struct ProRl {
    parameters: ProRlParameters,
    rewards: StepRewards,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!("prorl", "Stepwise reward centring and position-specific advantages (ProRL).", ProRl);

impl ProRl {
    /// Steps 1 to 3, the reward of every step: `r = w_ctr·z_ctr/P + w_ioi·z_ioi + w_ior·z_ior` with
    /// `z = (x − μ)/max(σ, min_std)`. Updates the moments while they are not frozen. // [B, G, P]
    ///
    /// # Errors
    /// Shapes do not fit; another process failed.
    pub fn rewards(
        &mut self,
        scored: &ScoredPaths,
        progress: &Progress,
        collective: &dyn Collective,
    ) -> Result<Tensor> {
        self.rewards.of(scored, progress, collective)
    }
}

impl Algorithm for ProRl {
    type Parameters = ProRlParameters;

    fn create(parameters: ProRlParameters, _: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, penalty })
    }

    fn requirements(&self) -> Requirements {
        self.penalty.requirements()
    }

    /// Steps 4 and 5: `G_t = Σ_{s≥t} γ^{s−t} r_s`, `A_t = G_t − mean of G_t over the group's paths active at t`.
    fn prepare(
        &mut self,
        scored: &ScoredPaths,
        progress: &Progress,
        collective: &dyn Collective,
    ) -> Result<Advantages> {
        let paths = scored.paths();
        let active = actions::active(&paths); // [B, G, P + 1]
        let counted = baselines::counted(&paths); // [B, G]
        self.penalty.adapt(collective)?;
        let rewards = self.rewards(scored, progress, collective)?; // [B, G, P]
        let returns = returns::discounted(&rewards, self.parameters.gamma); // [B, G, P + 1]
        let whole = returns.select(-1, 0); // [B, G]

        let values = if self.parameters.position_advantage {
            &returns - baselines::position_mean(&returns, &active) // [B, G, P + 1]
        } else {
            (&whole - baselines::group_mean(&whole, &counted)).unsqueeze(-1).expand_as(&returns) // [B, G, P + 1]
        };
        let mut advantages = Advantages::masked(&values, &paths);
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        Ok(advantages)
    }

    /// Steps 6 and 7: `(−Σ A·log π + β Σ KL − entropy Σ H) / #paths with an item`.
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
