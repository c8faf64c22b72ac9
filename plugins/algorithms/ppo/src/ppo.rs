//! Proximal policy optimisation (Schulman et al. 2017), with generalised advantage estimation.

use crate::parameters::PpoParameters;
use prorl_sdk::critic::{self, ValueHead};
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, clipping, diagnostics, returns};

/// What the values should have been. // [B, G, P + 1]
const RETURNS: &str = "returns";
/// What the values were when the paths were drawn. // [B, G, P + 1]
const OLD_VALUES: &str = "old_values";

/// Clipped ratios and values, several updates with one batch.
#[derive(Debug)]
pub struct Ppo {
    parameters: PpoParameters,
    rewards: StepRewards,
    head: ValueHead,
    penalty: Penalty,
}

prorl_sdk::register_algorithm!("ppo", "Clipped ratios and values, several updates a batch (PPO).", Ppo);

impl Algorithm for Ppo {
    type Parameters = PpoParameters;

    const CAPABILITIES: &'static [&'static str] = &["early_stop"];

    fn create(parameters: PpoParameters, setup: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        let penalty = Penalty::new(parameters.penalty.clone());
        Ok(Self { parameters, rewards, head: ValueHead::new(setup)?, penalty })
    }

    fn requirements(&self) -> Requirements {
        let PpoParameters { epochs, minibatches, .. } = self.parameters;
        Requirements { hidden: true, epochs, minibatches, ..self.penalty.requirements() }
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
        let PpoParameters { gamma, lambda, whiten, .. } = self.parameters;
        let gae = returns::gae(&rewards, &old_values, &active, gamma, lambda); // [B, G, P + 1]
        let values = match whiten {
            true => critic::whitened(&gae.advantages, &paths, collective)?, // [B, G, P + 1]
            false => gae.advantages,
        };

        let mut advantages = Advantages::masked(&values, &paths);
        let whole = returns::discounted(&rewards, gamma).select(-1, 0); // [B, G]
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        let explained = critic::explained_variance(&old_values, &gae.returns, &paths);
        advantages.extra = vec![(RETURNS.into(), gae.returns), (OLD_VALUES.into(), old_values)];
        Ok(advantages.with("algorithm/explained_variance", &explained))
    }

    /// `(−Σ min(ρ·A, clip(ρ)·A) + β Σ KL − entropy Σ H) / #paths with an item + value_weight · value loss`.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, _: &Progress) -> Result<Loss> {
        let PpoParameters { clip_low, clip_high, clip_value, value_weight, .. } = self.parameters;
        let paths = batch.paths();
        let ratio = clipping::ratio(log_probs); // [B, G, P + 1]
        let objective = clipping::surrogate(&ratio, &batch.advantages, clip_low, clip_high); // [B, G, P + 1]
        let policy = -actions::per_path(&objective, &paths); // scalar
        let loss = self.penalty.add_to(&policy, log_probs, &paths)?;

        let values = self.head.values(log_probs.current.hidden()?); // [B, G, P + 1]
        let (returns, old) = (batch.extra(RETURNS)?, batch.extra(OLD_VALUES)?); // [B, G, P + 1] each
        let value_loss = critic::value_loss(&values, old, returns, &paths, clip_value); // scalar
        let clipped = clipping::clipped_share(&ratio, &paths, clip_low, clip_high);
        Ok(critic::add_value_loss(loss, &value_loss, value_weight).with("algorithm/clipped", &clipped))
    }

    /// Until the estimated KL to the policy that drew the paths exceeds `target_kl`.
    fn goes_on(&mut self, moved: &Moved) -> Result<bool> {
        let most = self.parameters.target_kl;
        Ok(most == 0.0 || clipping::distance(moved).double_value(&[]) <= most)
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.head.parameters()
    }

    fn metrics() -> Vec<MetricDeclaration> {
        let clipped = vec![diagnostics::clipped()];
        [diagnostics::metrics(), diagnostics::of_critic(), clipped].into_iter().flatten().collect()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.rewards.state().into_iter().chain(self.penalty.state()).collect()
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.rewards.load(&state)?;
        self.penalty.load(&state)
    }
}
