//! What is subtracted from the return of a whole path.

use crate::algorithm::Collective;
use crate::baselines;
use crate::error::{Error, Result};
use crate::masked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

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

/// Where the moving baseline stands in the saved state: its value and whether there is one. // [2] float64
const MOVING: &str = "baseline";

/// A baseline with its memory.
#[derive(Debug)]
pub struct PathBaseline {
    baseline: Baseline,
    momentum: f64,
    moving: Option<f64>,
}

impl PathBaseline {
    /// Nothing seen yet; a moving baseline keeps `momentum` of its old value at each batch.
    pub fn new(baseline: Baseline, momentum: f64) -> Self {
        Self { baseline, momentum, moving: None }
    }

    /// What is subtracted from returns `[B, G]`: nothing, the mean of the batches before (of this one, if it is the
    /// first), or the group's mean. // broadcasts against [B, G]
    ///
    /// # Errors
    /// Another process failed.
    pub fn of(&mut self, returns: &Tensor, counted: &Tensor, collective: &dyn Collective) -> Result<Tensor> {
        match self.baseline {
            Baseline::None => Ok(returns.zeros_like()),
            Baseline::GroupMean => Ok(baselines::group_mean(returns, counted)),
            Baseline::Moving => {
                let own = [masked::sum(returns, counted).to_kind(Kind::Double), counted.sum(Kind::Double)];
                let all = collective.sum(&Tensor::stack(&own, 0))?; // [2]: of all processes
                let mean = all.double_value(&[0]) / all.double_value(&[1]).max(1.0);
                let baseline = self.moving.unwrap_or(mean);
                self.moving = Some(self.momentum * baseline + (1.0 - self.momentum) * mean);
                Ok(returns.full_like(baseline))
            }
        }
    }

    /// What [`PathBaseline::load`] takes back.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let state = [self.moving.unwrap_or_default(), f64::from(u8::from(self.moving.is_some()))];
        vec![(MOVING.into(), Tensor::from_slice(&state))]
    }

    /// Continues from what [`PathBaseline::state`] gave.
    ///
    /// # Errors
    /// It is missing or has another shape.
    pub fn load(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let saved = state.iter().find(|(name, _)| name == MOVING).map(|(_, tensor)| tensor);
        let saved = saved.ok_or_else(|| Error::Input(format!("the saved state has no `{MOVING}`")))?;
        if saved.size() != [2] {
            return Err(Error::Input(format!("the saved `{MOVING}` has shape {:?} instead of [2]", saved.size())));
        }
        self.moving = (saved.double_value(&[1]) > 0.0).then(|| saved.double_value(&[0]));
        Ok(())
    }
}
