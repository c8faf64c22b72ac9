//! What a user may set of RLOO.

use prorl_sdk::prelude::*;

/// What a user may set of RLOO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RlooParameters {
    /// Rewards of steps.
    pub rewards: RewardParameters,
    /// Discount factor γ of returns, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// Leash to the policy from which training starts, and bonus for entropy.
    pub penalty: PenaltyParameters,
}

impl Default for RlooParameters {
    fn default() -> Self {
        Self { rewards: RewardParameters::default(), gamma: 1.0, penalty: PenaltyParameters::default() }
    }
}

impl Parameters for RlooParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        self.penalty.validate()
    }
}
