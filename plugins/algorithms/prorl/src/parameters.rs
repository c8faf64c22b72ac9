//! What a user may set of ProRL.

use prorl_sdk::prelude::*;

/// What a user may set of ProRL; defaults are the published values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProRlParameters {
    /// How much each objective counts.
    pub weights: ObjectiveWeights,
    /// Discount factor γ of returns, in [0, 1].
    pub gamma: f64,
    /// Weight β of the KL term; 0 leaves it out and saves the reference's forward pass.
    pub beta: f64,
    /// Estimator of the KL term.
    pub kl: KlEstimator,
    /// Weight of the policy's entropy, which is made larger; 0 leaves it out.
    pub entropy: f64,
    /// Least standard deviation by which a reward is divided.
    pub min_std: f64,
    /// Epochs during which the moments of rewards are updated; then they are frozen.
    pub moments_epochs: i64,
    /// Steps during which the moments are updated, in place of `moments_epochs`; 0 counts epochs. For runs of few, long epochs.
    pub moments_steps: i64,
    /// Stepwise reward centring: each objective less its running mean, over its running deviation.
    pub centering: bool,
    /// Position-specific advantages: returns from each position on, less the group's mean there. Otherwise all
    /// actions of a path share its whole return, less the group's mean.
    pub position_advantage: bool,
}

impl Default for ProRlParameters {
    fn default() -> Self {
        Self {
            weights: ObjectiveWeights::default(),
            gamma: 1.0,
            beta: 0.01,
            kl: KlEstimator::K1,
            entropy: 0.0,
            min_std: 0.1,
            moments_epochs: 1,
            moments_steps: 0,
            centering: true,
            position_advantage: true,
        }
    }
}

impl Parameters for ProRlParameters {
    fn validate(&self) -> Result<()> {
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        in_range("beta", self.beta, 0.0..)?;
        in_range("entropy", self.entropy, 0.0..)?;
        in_range("min_std", self.min_std, f64::MIN_POSITIVE..)?;
        in_range("moments_epochs", self.moments_epochs, 1..)?;
        in_range("moments_steps", self.moments_steps, 0..)
    }
}
