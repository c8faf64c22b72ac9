//! What a user may set of ProRL.

use prorl_sdk::prelude::*;

/// What a user may set of ProRL; defaults are the published values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProRlParameters {
    /// Rewards of steps. `centering` is stepwise reward centring.
    pub rewards: RewardParameters,
    /// Discount factor γ of returns, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// Position-specific advantages: returns from each position on, less the group's mean there. Otherwise all
    /// actions of a path share its whole return, less the group's mean.
    pub position_advantage: bool,
    /// Leash to the policy from which training starts, and bonus for entropy.
    pub penalty: PenaltyParameters,
}

impl Default for ProRlParameters {
    fn default() -> Self {
        Self {
            rewards: RewardParameters { centering: true, ..RewardParameters::default() },
            gamma: 1.0,
            position_advantage: true,
            penalty: PenaltyParameters { beta: 0.01, ..PenaltyParameters::default() },
        }
    }
}

impl Parameters for ProRlParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        self.penalty.validate()
    }
}
