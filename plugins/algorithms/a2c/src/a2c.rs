//! Advantage actor-critic (Mnih et al. 2016, synchronous), with generalised advantage estimation.

use crate::parameters::A2cParameters;
use prorl_sdk::critic::{self, ValueHead};
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, diagnostics, returns};

/// What the values should have been. // [B, G, P + 1]
const RETURNS: &str = "returns";

/// Every action is weighted by how much better it turned out than the value head had expected.
#[derive(Debug)]
pub struct A2c {
    parameters: A2cParameters,
    rewards: StepRewards,
    head: ValueHead,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!("a2c", "Advantages by a value head on the policy's states (A2C).", A2c);

impl Algorithm for A2c {
    type Parameters = A2cParameters;

    fn create(parameters: A2cParameters, setup: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, head: ValueHead::new(setup)?, penalty })
    }

    fn requirements(&self) -> Requirements {
        Requirements { hidden: true, ..self.penalty.requirements() }
    }

    /// `δ_t = r_t + γ V_{t+1} − V_t`, `A_t = Σ_{s≥t} (γλ)^{s−t} δ_s`.
    fn prepare(
        &mut self,
        scored: &ScoredPaths,
        progress: &Progress,
        collective: &dyn Collective,
    ) -> Result<Advantages> {
        self.penalty.adapt(collective)?;
        let paths = scored.paths();
        let hidden = scored.hidden.as_ref();
        let hidden = hidden.ok_or_else(|| Error::Unsupported("this policy gave no hidden states".into()))?;
        let old_values = tch::no_grad(|| self.head.values(hidden)); // [B, G, P + 1]
        let rewards = self.rewards.of(scored, progress, collective)?; // [B, G, P]
        let active = actions::active(&paths); // [B, G, P + 1]
        let A2cParameters { gamma, lambda, whiten, .. } = self.parameters;
        let gae = returns::gae(&rewards, &old_values, &active, gamma, lambda); // [B, G, P + 1]
        let values = match whiten {
            true => critic::whitened(&gae.advantages, &paths, collective)?, // [B, G, P + 1]
            false => gae.advantages,
        };

        let mut advantages = Advantages::masked(&values, &paths);
        let whole = returns::discounted(&rewards, gamma).select(-1, 0); // [B, G]
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        let explained = critic::explained_variance(&old_values, &gae.returns, &paths);
        advantages.extra = vec![(RETURNS.into(), gae.returns)];
        Ok(advantages.with("algorithm/explained_variance", &explained))
    }

    /// `(−Σ A·log π + β Σ KL − entropy Σ H) / #paths with an item + value_weight · ½ mean (V − R)²`.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, _: &Progress) -> Result<Loss> {
        let paths = batch.paths();
        let log_prob = actions::mean_over_digits(&log_probs.current.digits, &paths); // [B, G, P + 1]
        let policy = -actions::per_path(&(log_prob * &batch.advantages), &paths); // scalar
        let loss = self.penalty.add_to(&policy, log_probs, &paths)?;

        let values = self.head.values(log_probs.current.hidden()?); // [B, G, P + 1]
        let returns = batch.extra(RETURNS)?; // [B, G, P + 1]
        let value_loss = critic::value_loss(&values, &values, returns, &paths, 0.0); // scalar
        Ok(critic::add_value_loss(loss, &value_loss, self.parameters.value_weight))
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.head.parameters()
    }

    fn metrics() -> Vec<MetricDeclaration> {
        [diagnostics::metrics(), diagnostics::of_critic()].into_iter().flatten().collect()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.rewards.state().into_iter().chain(self.penalty.state()).collect()
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.rewards.load(&state)?;
        self.penalty.load(&state)
    }
}
