//! One reward a step, of several objectives on scales of their own.

use crate::algorithm::{Alone, Collective, Progress, ScoredPaths};
use crate::error::Result;
use crate::moments::Moments;
use crate::parameters::in_range;
use crate::rewards::{self, OBJECTIVES, ObjectiveWeights};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// What a user may set of the rewards; all algorithms have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardParameters {
    /// How much each objective counts.
    pub weights: ObjectiveWeights,
    /// Stepwise reward centring: each objective less its running mean.
    pub centering: bool,
    /// Each objective over its running deviation; without it ranks, which run to thousands, drown the others.
    pub scaling: bool,
    /// Least standard deviation by which a reward is divided.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub min_std: f64,
    /// Epochs during which the moments of rewards are updated; then they are frozen.
    #[schemars(range(min = 1))]
    pub moments_epochs: i64,
    /// Steps during which the moments are updated, in place of `moments_epochs`; 0 counts epochs. For runs of few, long
    /// epochs.
    #[schemars(range(min = 0))]
    pub moments_steps: i64,
    /// Moments of all processes' rewards; otherwise each process has its own, as in ProRL's published code.
    pub synchronised: bool,
}

impl Default for RewardParameters {
    fn default() -> Self {
        Self {
            weights: ObjectiveWeights::default(),
            centering: false,
            scaling: true,
            min_std: 0.1,
            moments_epochs: 1,
            moments_steps: 0,
            synchronised: true,
        }
    }
}

impl RewardParameters {
    /// Checks ranges.
    ///
    /// # Errors
    /// A value makes no sense; the message names it.
    pub fn validate(&self) -> Result<()> {
        in_range("rewards.min_std", self.min_std, f64::MIN_POSITIVE..)?;
        in_range("rewards.moments_epochs", self.moments_epochs, 1..)?;
        in_range("rewards.moments_steps", self.moments_steps, 0..)
    }
}

/// Where the moments stand in the saved state.
const MOMENTS: &str = "moments";

/// Rewards of steps with the moments they are centred and scaled by.
#[derive(Debug)]
pub struct StepRewards {
    parameters: RewardParameters,
    moments: Moments,
}

impl StepRewards {
    /// Nothing seen yet.
    pub fn new(parameters: RewardParameters) -> Self {
        Self { parameters, moments: Moments::new(OBJECTIVES.len() as i64) }
    }

    /// The reward of every step, `r = w_ctr·z_ctr/P + w_ioi·z_ioi + w_ior·z_ior` with `z = (x − μ)/max(σ, min_std)`
    /// (method, section 6, steps 1 to 3), or without `μ`, or without `σ`. Updates the moments while they are not
    /// frozen. // [B, G, P]
    ///
    /// # Errors
    /// Shapes do not fit; another process failed.
    pub fn of(&mut self, scored: &ScoredPaths, progress: &Progress, collective: &dyn Collective) -> Result<Tensor> {
        let paths = scored.paths();
        let mut rewards = rewards::penalised(scored); // [B, G, P, 3]
        if (self.parameters.centering || self.parameters.scaling) && self.moments_move(progress) {
            let among: &dyn Collective = if self.parameters.synchronised { collective } else { &Alone };
            self.moments.update(&rewards, &rewards::real(&paths), among)?;
        }
        if self.parameters.centering {
            rewards = self.moments.centre(&rewards)?; // [B, G, P, 3]
        }
        if self.parameters.scaling {
            rewards = self.moments.scale(&rewards, self.parameters.min_std)?; // [B, G, P, 3]
        }
        Ok(self.parameters.weights.combine(&rewards, &paths))
    }

    fn moments_move(&self, progress: &Progress) -> bool {
        match self.parameters.moments_steps {
            0 => progress.epoch < self.parameters.moments_epochs,
            steps => progress.step < steps,
        }
    }

    /// The moments as they stand.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// What [`StepRewards::load`] takes back.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.moments.state(MOMENTS)
    }

    /// Continues from what [`StepRewards::state`] gave.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        self.moments.load(MOMENTS, state)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::Error;

    /// One prompt, one path of two items and a stop, `P = 2`.
    fn scored(ioi: [f64; 2]) -> ScoredPaths {
        let ioi = Tensor::from_slice(&ioi).view([1, 1, 2]);
        ScoredPaths {
            items: Tensor::from_slice(&[1_i64, 2]).view([1, 1, 2]),
            length: Tensor::from_slice(&[2_i64]).view([1, 1]),
            stopped: Tensor::from_slice(&[false]).view([1, 1]),
            ior: ioi.zeros_like(),
            ctr: ioi.zeros_like(),
            ioi,
            hidden: None,
        }
    }

    fn rewards(centering: bool, scaling: bool) -> Vec<f64> {
        let mut rewards = StepRewards::new(RewardParameters { centering, scaling, ..RewardParameters::default() });
        let progress = Progress { epoch: 0, step: 0, steps: 1 };
        Vec::try_from(rewards.of(&scored([1.0, 5.0]), &progress, &Alone).unwrap().view(-1)).unwrap()
    }

    #[test]
    fn centring_and_scaling_are_apart() {
        let deviation = 8_f64.sqrt(); // of 1 and 5, unbiased
        for ((centering, scaling), expected) in [
            ((false, false), [1.0, 5.0]),
            ((true, false), [-2.0, 2.0]),
            ((false, true), [1.0 / deviation, 5.0 / deviation]),
            ((true, true), [-2.0 / deviation, 2.0 / deviation]),
        ] {
            for (reward, expected) in rewards(centering, scaling).iter().zip(expected) {
                assert!((reward - expected).abs() < 1e-9, "{centering} {scaling}: {reward}, not {expected}");
            }
        }
    }

    #[test]
    fn moments_freeze_after_their_steps() {
        let parameters = RewardParameters { moments_steps: 1, centering: true, ..RewardParameters::default() };
        let mut rewards = StepRewards::new(parameters);
        let _ = rewards.of(&scored([1.0, 5.0]), &Progress { epoch: 0, step: 0, steps: 9 }, &Alone).unwrap();
        let _ = rewards.of(&scored([9.0, 9.0]), &Progress { epoch: 0, step: 1, steps: 9 }, &Alone).unwrap();
        assert_eq!(rewards.moments().mean().double_value(&[0]), 3.0);
    }

    /// Other processes that cannot be reached.
    #[derive(Debug)]
    struct Unreachable;

    impl Collective for Unreachable {
        fn processes(&self) -> u64 {
            2
        }

        fn sum(&self, _: &Tensor) -> Result<Tensor> {
            Err(Error::Unsupported("nobody answers".into()))
        }
    }

    #[test]
    fn moments_of_ones_own_ask_nobody() {
        let progress = Progress { epoch: 0, step: 0, steps: 1 };
        for (synchronised, works) in [(true, false), (false, true)] {
            let parameters = RewardParameters { synchronised, ..RewardParameters::default() };
            let rewards = StepRewards::new(parameters).of(&scored([1.0, 5.0]), &progress, &Unreachable);
            assert_eq!(rewards.is_ok(), works);
        }
    }
}
