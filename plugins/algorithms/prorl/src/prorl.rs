//! The estimator and the objective of ProRL (method, section 6).

use crate::parameters::ProRlParameters;
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, returns, rewards};

/// Where the moments stand in the saved state.
const MOMENTS: &str = "moments";

/// Stepwise reward centring and position-specific advantages.
#[derive(Debug)]
pub struct ProRl {
    parameters: ProRlParameters,
    moments: Moments,
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
        let paths = scored.paths();
        let mut rewards = rewards::penalised(scored); // [B, G, P, 3]
        if self.parameters.centering {
            if self.moments_move(progress) {
                self.moments.update(&rewards, &rewards::real(&paths), collective)?;
            }
            rewards = self.moments.normalise(&rewards, self.parameters.min_std)?; // [B, G, P, 3]
        }
        Ok(self.parameters.weights.combine(&rewards, &paths))
    }

    fn moments_move(&self, progress: &Progress) -> bool {
        match self.parameters.moments_steps {
            0 => progress.epoch < self.parameters.moments_epochs,
            steps => progress.step < steps,
        }
    }
}

impl Algorithm for ProRl {
    type Parameters = ProRlParameters;

    fn create(parameters: ProRlParameters, _: &Setup) -> Result<Self> {
        Ok(Self { parameters, moments: Moments::new(rewards::OBJECTIVES.len() as i64) })
    }

    fn requirements(&self) -> Requirements {
        let reference = self.parameters.beta > 0.0;
        Requirements {
            reference,
            distribution: reference && self.parameters.kl.needs_distribution(),
            entropy: self.parameters.entropy > 0.0,
            ..Requirements::none()
        }
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
        let ProRlParameters { beta, kl, entropy, .. } = self.parameters;
        let paths = batch.paths();
        let log_prob = actions::mean_over_digits(&log_probs.current.digits, &paths); // [B, G, P + 1]
        let policy = -actions::per_path(&(log_prob * &batch.advantages), &paths); // scalar

        let mut loss = Loss::new(policy.shallow_clone()).with("algorithm/policy_loss", &policy);
        if beta > 0.0 {
            let kl = actions::per_path(&kl.per_action(log_probs, &paths)?, &paths); // scalar
            loss = Loss { total: &loss.total + &kl * beta, ..loss }.with("algorithm/kl", &kl);
        }
        if entropy > 0.0 {
            let spread = actions::per_path(&actions::entropy(&log_probs.current, &paths)?, &paths); // scalar
            loss = Loss { total: &loss.total - &spread * entropy, ..loss }.with("algorithm/entropy", &spread);
        }
        Ok(loss)
    }

    fn metrics() -> Vec<MetricDeclaration> {
        diagnostics::metrics()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.moments.state(MOMENTS)
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.moments.load(MOMENTS, &state)
    }
}
