//! The estimator: what makes an action likelier. Here, REINFORCE against the mean of the group; replace it by yours.

use prorl_sdk::prelude::*;
use prorl_sdk::{actions, baselines, diagnostics, returns};

/// What a user may set of `my-algorithm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MyAlgorithmParameters {
    /// Rewards of steps.
    pub rewards: RewardParameters,
    /// Discount factor γ of returns, in [0, 1].
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
}

impl Default for MyAlgorithmParameters {
    fn default() -> Self {
        Self { rewards: RewardParameters::default(), gamma: 1.0 }
    }
}

impl Parameters for MyAlgorithmParameters {
    fn validate(&self) -> Result<()> {
        self.rewards.validate()?;
        in_range("gamma", self.gamma, 0.0..=1.0)
    }
}

/// Every action of a path is weighted by how much better the path did than its group.
#[derive(Debug)]
pub struct MyAlgorithm {
    parameters: MyAlgorithmParameters,
    rewards: StepRewards,
}

prorl_sdk::register_algorithm!("my-algorithm", "The path's return less the mean of its group.", MyAlgorithm);

impl Algorithm for MyAlgorithm {
    type Parameters = MyAlgorithmParameters;

    fn create(parameters: MyAlgorithmParameters, _: &Setup) -> Result<Self> {
        let rewards = StepRewards::new(parameters.rewards.clone());
        Ok(Self { parameters, rewards })
    }

    /// `A = Σ_s γ^s r_s − mean over the group` for every action of the path.
    fn prepare(
        &mut self,
        scored: &ScoredPaths,
        progress: &Progress,
        collective: &dyn Collective,
    ) -> Result<Advantages> {
        let paths = scored.paths();
        let rewards = self.rewards.of(scored, progress, collective)?; // [B, G, P]
        let returns = returns::discounted(&rewards, self.parameters.gamma); // [B, G, P + 1]
        let whole = returns.select(-1, 0); // [B, G]
        let advantage = &whole - baselines::group_mean(&whole, &baselines::counted(&paths)); // [B, G]
        let values = advantage.unsqueeze(-1).expand_as(&returns); // [B, G, P + 1]
        let mut advantages = Advantages::masked(&values, &paths);
        advantages.metrics = diagnostics::of_advantages(scored, &whole, &values);
        Ok(advantages)
    }

    /// `−Σ A·log π / #paths with an item`.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, _: &Progress) -> Result<Loss> {
        let paths = batch.paths();
        let log_prob = log_probs.current.mean_over_digits(&paths); // [B, G, P + 1]
        Ok(Loss::new(-actions::per_path(&(log_prob * &batch.advantages), &paths)))
    }

    fn metrics() -> Vec<MetricDeclaration> {
        diagnostics::metrics()
    }

    /// Running moments of the rewards, so that a resumed run continues as if never stopped.
    fn state(&self) -> Vec<(String, Tensor)> {
        self.rewards.state()
    }

    fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        self.rewards.load(&state)
    }
}
