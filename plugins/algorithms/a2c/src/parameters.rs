//! What a user may set of A2C.

use prorl_sdk::prelude::*;

/// What a user may set of A2C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct A2cParameters {
    /// Rewards of steps.
    pub rewards: RewardParameters,
    /// Discount factor γ of returns, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// λ of generalised advantage estimation, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub lambda: f64,
    /// Weight of the value loss.
    #[schemars(range(min = 0.0))]
    pub value_weight: f64,
    /// Whether a batch's advantages are brought to mean 0 and deviation 1.
    pub whiten: bool,
    /// Leash to the policy from which training starts, and bonus for entropy.
    pub penalty: PenaltyParameters,
}

impl Default for A2cParameters {
    fn default() -> Self {
        Self {
            rewards: RewardParameters::default(),
            gamma: 1.0,
            lambda: 1.0,
            value_weight: 0.5,
            whiten: false,
            penalty: PenaltyParameters { entropy: 0.01, ..PenaltyParameters::default() },
        }
    }
}

impl Parameters for A2cParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        in_range("lambda", self.lambda, 0.0..=1.0)?;
        in_range("value_weight", self.value_weight, 0.0..)?;
        self.penalty.validate()
    }
}
