//! What a loss adds to its policy term: a leash to the policy from which training started, and a bonus for entropy.

use crate::actions;
use crate::algorithm::{Collective, LogProbs, Requirements};
use crate::error::{Error, Result};
use crate::kl::KlEstimator;
use crate::loss::Loss;
use crate::parameters::in_range;
use crate::prompts::Paths;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// What a user may set of the leash and the bonus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PenaltyParameters {
    /// Weight β of the KL term; 0 leaves it out and saves the reference's forward pass.
    #[schemars(range(min = 0.0))]
    pub beta: f64,
    /// Estimator of the KL term.
    pub kl: KlEstimator,
    /// KL of a path, in nats, to which β adapts from step to step; 0 keeps β fixed.
    #[schemars(range(min = 0.0))]
    pub kl_target: f64,
    /// Weight of the policy's entropy, which is made larger; 0 leaves it out.
    #[schemars(range(min = 0.0))]
    pub entropy: f64,
}

impl Default for PenaltyParameters {
    fn default() -> Self {
        Self { beta: 0.0, kl: KlEstimator::K1, kl_target: 0.0, entropy: 0.0 }
    }
}

impl PenaltyParameters {
    /// Checks ranges.
    ///
    /// # Errors
    /// A value makes no sense; the message names it.
    pub fn validate(&self) -> Result<()> {
        in_range("penalty.beta", self.beta, 0.0..)?;
        in_range("penalty.kl_target", self.kl_target, 0.0..)?;
        in_range("penalty.entropy", self.entropy, 0.0..)?;
        if self.kl_target > 0.0 && self.beta == 0.0 {
            return Err(Error::Parameters("`penalty.kl_target` needs a `penalty.beta` above 0 to start from".into()));
        }
        Ok(())
    }
}

/// How far β moves at most in a step, as a share of itself times the clipped error (Ziegler et al. 2019, section 2.2).
const GAIN: f64 = 0.1;
/// The relative error of the KL is cut to this.
const MOST_ERROR: f64 = 0.2;
/// Where β stands in the saved state.
const BETA: &str = "penalty.beta";

/// The leash and the bonus, with β as it stands.
#[derive(Debug)]
pub struct Penalty {
    parameters: PenaltyParameters,
    beta: f64,
    last_kl: Option<Tensor>,
}

impl Penalty {
    /// As the user set it.
    pub fn new(parameters: PenaltyParameters) -> Self {
        Self { beta: parameters.beta, parameters, last_kl: None }
    }

    /// β as it stands.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// What it needs of the host, one update a batch.
    pub fn requirements(&self) -> Requirements {
        let reference = self.parameters.beta > 0.0;
        Requirements {
            reference,
            distribution: reference && self.parameters.kl.needs_distribution(),
            entropy: self.parameters.entropy > 0.0,
            ..Requirements::none()
        }
    }

    /// Lets β follow its target by the KL of the last loss, the mean over all processes:
    /// `β ← β·(1 + 0.1·clip(KL / target − 1, ±0.2))`. Call it once a batch, in `prepare`.
    ///
    /// # Errors
    /// Another process failed.
    pub fn adapt(&mut self, collective: &dyn Collective) -> Result<()> {
        let (target, Some(kl)) = (self.parameters.kl_target, self.last_kl.take()) else { return Ok(()) };
        if target > 0.0 {
            let kl = collective.sum(&kl)?.double_value(&[]) / collective.processes() as f64;
            let error = (kl / target - 1.0).clamp(-MOST_ERROR, MOST_ERROR);
            self.beta *= 1.0 + GAIN * error;
        }
        Ok(())
    }

    /// `policy + β Σ KL / n − entropy Σ H / n`, with sums over all actions of the paths and `n` paths with an item.
    ///
    /// # Errors
    /// The reference, a distribution or the entropy is absent.
    pub fn add_to(&mut self, policy: &Tensor, log_probs: &LogProbs, paths: &Paths) -> Result<Loss> {
        let mut loss = Loss::new(policy.shallow_clone()).with("algorithm/policy_loss", policy);
        if self.parameters.beta > 0.0 {
            let kl = actions::per_path(&self.parameters.kl.per_action(log_probs, paths)?, paths); // scalar
            self.last_kl = Some(kl.detach().to_kind(Kind::Double));
            loss = Loss { total: &loss.total + &kl * self.beta, ..loss }
                .with("algorithm/kl", &kl)
                .with("algorithm/beta", &Tensor::from(self.beta));
        }
        if self.parameters.entropy > 0.0 {
            let entropy = actions::per_path(&actions::entropy(&log_probs.current, paths)?, paths); // scalar
            loss = Loss { total: &loss.total - &entropy * self.parameters.entropy, ..loss }
                .with("algorithm/entropy", &entropy);
        }
        Ok(loss)
    }

    /// What [`Penalty::load`] takes back.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let kl = self.last_kl.as_ref().map_or(f64::NAN, |kl| kl.double_value(&[]));
        vec![(BETA.into(), Tensor::from_slice(&[self.beta, kl]))]
    }

    /// Continues from what [`Penalty::state`] gave.
    ///
    /// # Errors
    /// It is missing or has another shape.
    pub fn load(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let saved = state.iter().find(|(name, _)| name == BETA).map(|(_, tensor)| tensor);
        let saved = saved.ok_or_else(|| Error::Input(format!("the saved state has no `{BETA}`")))?;
        if saved.size() != [2] {
            return Err(Error::Input(format!("the saved `{BETA}` has shape {:?} instead of [2]", saved.size())));
        }
        self.beta = saved.double_value(&[0]);
        let kl = saved.double_value(&[1]);
        self.last_kl = (!kl.is_nan()).then(|| Tensor::from(kl));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::algorithm::Alone;

    fn leash(target: f64) -> Penalty {
        Penalty::new(PenaltyParameters { beta: 0.5, kl_target: target, ..PenaltyParameters::default() })
    }

    #[test]
    fn beta_follows_its_target_in_small_steps() {
        for (kl, expected) in [(1.0, 0.5), (1.1, 0.505), (9.0, 0.51), (0.0, 0.49)] {
            let mut leash = leash(1.0);
            leash.last_kl = Some(Tensor::from(kl));
            leash.adapt(&Alone).unwrap();
            assert!((leash.beta() - expected).abs() < 1e-12, "{kl}: {}", leash.beta());
            leash.adapt(&Alone).unwrap();
            assert!((leash.beta() - expected).abs() < 1e-12, "a KL counts once");
        }
    }

    #[test]
    fn a_fixed_beta_stays() {
        let mut leash = leash(0.0);
        leash.last_kl = Some(Tensor::from(9.0));
        leash.adapt(&Alone).unwrap();
        assert_eq!(leash.beta(), 0.5);
    }

    #[test]
    fn state_is_taken_back() {
        let mut saved = leash(1.0);
        saved.last_kl = Some(Tensor::from(9.0));
        let mut loaded = leash(1.0);
        loaded.load(&saved.state()).unwrap();
        saved.adapt(&Alone).unwrap();
        loaded.adapt(&Alone).unwrap();
        assert_eq!(saved.beta(), loaded.beta());
        assert!(loaded.load(&[]).is_err());
    }

    #[test]
    fn a_target_without_a_leash_is_refused() {
        let parameters = PenaltyParameters { kl_target: 1.0, ..PenaltyParameters::default() };
        assert!(parameters.validate().unwrap_err().to_string().contains("penalty.beta"));
    }
}
