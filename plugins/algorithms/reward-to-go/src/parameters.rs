//! What a user may set of reward-to-go.

use prorl_sdk::prelude::*;

/// What a user may set of reward-to-go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardToGoParameters {
    /// Rewards of steps.
    pub rewards: RewardParameters,
    /// Discount factor γ of returns, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// What is subtracted from the return of every position: nothing, the running mean of whole returns, or the mean of the
    /// group's whole returns.
    pub baseline: Baseline,
    /// Share of the old value that the moving baseline keeps at each batch, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
    /// Leash to the policy from which training starts, and bonus for entropy.
    pub penalty: PenaltyParameters,
}

impl Default for RewardToGoParameters {
    fn default() -> Self {
        Self {
            rewards: RewardParameters::default(),
            gamma: 1.0,
            baseline: Baseline::None,
            momentum: 0.9,
            penalty: PenaltyParameters::default(),
        }
    }
}

impl Parameters for RewardToGoParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        in_range("momentum", self.momentum, 0.0..=1.0)?;
        self.penalty.validate()
    }
}
