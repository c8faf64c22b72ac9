//! The estimator of REINFORCE (Williams 1992) on the step rewards of the method's sections 5 and 6.1.

use crate::parameters::{Baseline, ReinforceParameters};
use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, masked, returns, rewards};

/// Where the moving baseline stands in the saved state: its value and whether there is one. // [2] float64
const MOVING: &str = "baseline";

/// Every action of a path is weighted by the path's return less a baseline: neither centred nor per position.
#[derive(Debug)]
pub struct Reinforce {
    parameters: ReinforceParameters,
    moving: Option<f64>,
}

prorl_sdk::register_algorithm!(
    "reinforce",
    "Every action is weighted by the return of its whole path (REINFORCE).",
    Reinforce
);

impl Reinforce {
    /// What is subtracted from returns `[B, G]`: nothing, the mean of the batches before (of this one, if it is the
    /// first), or the group's mean. // broadcasts against [B, G]
    fn baseline(&mut self, returns: &Tensor, counted: &Tensor, collective: &dyn Collective) -> Result<Tensor> {
        match self.parameters.baseline {
            Baseline::None => Ok(returns.zeros_like()),
            Baseline::GroupMean => Ok(baselines::group_mean(returns, counted)),
            Baseline::Moving => {
                let own = [masked::sum(returns, counted).to_kind(Kind::Double), counted.sum(Kind::Double)];
                let all = collective.sum(&Tensor::stack(&own, 0))?; // [2]: of all processes
                let mean = all.double_value(&[0]) / all.double_value(&[1]).max(1.0);
                let baseline = self.moving.unwrap_or(mean);
                self.moving = Some(self.parameters.momentum * baseline + (1.0 - self.parameters.momentum) * mean);
                Ok(returns.full_like(baseline))
            }
        }
    }
}

impl Algorithm for Reinforce {
    type Parameters = ReinforceParameters;

    fn create(parameters: ReinforceParameters, _: &Setup) -> Result<Self> {
        Ok(Self { parameters, moving: None })
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

    /// `A = Σ_s γ^s r_s − b` for every action of the path.
    fn prepare(&mut self, scored: &ScoredPaths, _: &Progress, collective: &dyn Collective) -> Result<Advantages> {
        let paths = scored.paths();
        let counted = baselines::counted(&paths); // [B, G]
        let rewards = self.parameters.weights.combine(&rewards::penalised(scored), &paths) * self.parameters.scale; // [B, G, P]
        let returns = returns::discounted(&rewards, self.parameters.gamma); // [B, G, P + 1]
        let whole = returns.select(-1, 0); // [B, G]
        let advantage = &whole - self.baseline(&whole, &counted, collective)?; // [B, G]
        let values = advantage.unsqueeze(-1).expand_as(&returns); // [B, G, P + 1]

        let mut advantages = Advantages::masked(&values, &paths);
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        Ok(advantages)
    }

    /// `(−Σ A·log π + β Σ KL − entropy Σ H) / #paths with an item`.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, _: &Progress) -> Result<Loss> {
        let ReinforceParameters { beta, kl, entropy, .. } = self.parameters;
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
        let state = [self.moving.unwrap_or_default(), f64::from(u8::from(self.moving.is_some()))];
        vec![(MOVING.into(), Tensor::from_slice(&state))]
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        let saved = state.iter().find(|(name, _)| name == MOVING).map(|(_, tensor)| tensor);
        let saved = saved.ok_or_else(|| Error::Input(format!("the saved state has no `{MOVING}`")))?;
        if saved.size() != [2] {
            return Err(Error::Input(format!("the saved `{MOVING}` has shape {:?} instead of [2]", saved.size())));
        }
        self.moving = (saved.double_value(&[1]) > 0.0).then(|| saved.double_value(&[0]));
        Ok(())
    }
}
