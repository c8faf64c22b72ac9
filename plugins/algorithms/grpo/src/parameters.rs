//! What a user may set of GRPO.

use prorl_sdk::prelude::*;

/// What a user may set of GRPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpoParameters {
    /// Rewards of steps.
    pub rewards: RewardParameters,
    /// Discount factor γ of returns, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// Least ratio is 1 less this, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub clip_low: f64,
    /// Largest ratio is 1 plus this; larger than `clip_low` keeps entropy up (DAPO).
    #[schemars(range(min = 0.0))]
    pub clip_high: f64,
    /// Added to the group's standard deviation.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// Whether returns are divided by the group's standard deviation; without it they are only centred (Dr. GRPO).
    pub normalise: bool,
    /// Whether a path's actions are averaged before the paths are, as published; else summed (Dr. GRPO).
    pub path_mean: bool,
    /// Updates made with one batch of paths.
    #[schemars(range(min = 1))]
    pub epochs: i64,
    /// Parts into which a batch's prompts are cut for each update.
    #[schemars(range(min = 1))]
    pub minibatches: i64,
    /// Leash to the policy from which training starts, and bonus for entropy.
    pub penalty: PenaltyParameters,
}

impl Default for GrpoParameters {
    fn default() -> Self {
        Self {
            rewards: RewardParameters::default(),
            gamma: 1.0,
            clip_low: 0.2,
            clip_high: 0.28,
            epsilon: 1e-4,
            normalise: true,
            path_mean: true,
            epochs: 1,
            minibatches: 1,
            penalty: PenaltyParameters { beta: 0.04, kl: KlEstimator::K3, ..PenaltyParameters::default() },
        }
    }
}

impl Parameters for GrpoParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        in_range("clip_low", self.clip_low, 0.0..=1.0)?;
        in_range("clip_high", self.clip_high, 0.0..)?;
        in_range("epsilon", self.epsilon, f64::MIN_POSITIVE..)?;
        in_range("epochs", self.epochs, 1..)?;
        in_range("minibatches", self.minibatches, 1..)?;
        self.penalty.validate()
    }
}
