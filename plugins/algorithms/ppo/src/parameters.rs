//! What a user may set of PPO.

use prorl_sdk::prelude::*;

/// What a user may set of PPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PpoParameters {
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
    /// Least ratio is 1 less this, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub clip_low: f64,
    /// Largest ratio is 1 plus this.
    #[schemars(range(min = 0.0))]
    pub clip_high: f64,
    /// How far a value may move from the old one; 0 does not clip.
    #[schemars(range(min = 0.0))]
    pub clip_value: f64,
    /// Updates made with one batch of paths.
    #[schemars(range(min = 1))]
    pub epochs: i64,
    /// Parts into which a batch's prompts are cut for each update.
    #[schemars(range(min = 1))]
    pub minibatches: i64,
    /// Updates with a batch end where the estimated KL to the policy that drew its paths exceeds this, in nats an action;
    /// 0 makes them all.
    #[schemars(range(min = 0.0))]
    pub target_kl: f64,
    /// Leash to the policy from which training starts, and bonus for entropy.
    pub penalty: PenaltyParameters,
}

impl Default for PpoParameters {
    fn default() -> Self {
        Self {
            rewards: RewardParameters::default(),
            gamma: 1.0,
            lambda: 0.95,
            value_weight: 0.5,
            whiten: true,
            clip_low: 0.2,
            clip_high: 0.2,
            clip_value: 0.2,
            epochs: 2,
            minibatches: 2,
            target_kl: 0.0,
            penalty: PenaltyParameters { entropy: 0.01, ..PenaltyParameters::default() },
        }
    }
}

impl Parameters for PpoParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)?;
        in_range("lambda", self.lambda, 0.0..=1.0)?;
        in_range("value_weight", self.value_weight, 0.0..)?;
        in_range("clip_low", self.clip_low, 0.0..=1.0)?;
        in_range("clip_high", self.clip_high, 0.0..)?;
        in_range("clip_value", self.clip_value, 0.0..)?;
        in_range("epochs", self.epochs, 1..)?;
        in_range("minibatches", self.minibatches, 1..)?;
        in_range("target_kl", self.target_kl, 0.0..)?;
        self.penalty.validate()
    }
}
