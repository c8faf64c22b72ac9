//! What a user may set of REINFORCE.

use prorl_sdk::prelude::*;

/// What is subtracted from a path's return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Nothing.
    #[default]
    None,
    /// The running mean of returns over the batches before.
    Moving,
    /// The mean over the prompt's group of paths.
    GroupMean,
}

/// What a user may set of REINFORCE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReinforceParameters {
    /// How much each objective counts.
    pub weights: ObjectiveWeights,
    /// Factor on the weighted reward; raw ranks are large.
    pub scale: f64,
    /// Discount factor γ of returns, in [0, 1].
    pub gamma: f64,
    /// What is subtracted from a path's return.
    pub baseline: Baseline,
    /// Share of the old value that the moving baseline keeps at each batch, in [0, 1].
    pub momentum: f64,
    /// Weight β of the KL term; 0 leaves it out and saves the reference's forward pass.
    pub beta: f64,
    /// Estimator of the KL term.
    pub kl: KlEstimator,
    /// Weight of the policy's entropy, which is made larger; 0 leaves it out.
    pub entropy: f64,
}

impl Default for ReinforceParameters {
    fn default() -> Self {
        Self {
            weights: ObjectiveWeights::default(),
            scale: 1.0,
            gamma: 1.0,
            baseline: Baseline::None,
            momentum: 0.9,
            beta: 0.0,
            kl: KlEstimator::K1,
            entropy: 0.0,
        }
    }
}

impl Parameters for ReinforceParameters {
    fn validate(&self) -> Result<()> {
        in_range("scale", self.scale, f64::MIN_POSITIVE..)?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        in_range("momentum", self.momentum, 0.0..=1.0)?;
        in_range("beta", self.beta, 0.0..)?;
        in_range("entropy", self.entropy, 0.0..)
    }
}
