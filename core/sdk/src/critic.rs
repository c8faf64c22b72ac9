//! A value head on the policy's hidden states: what is still to come, as seen before each action.

use crate::actions;
use crate::algorithm::Collective;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::masked;
use crate::moments::Moments;
use crate::prompts::Paths;
use crate::setup::Setup;
use tch::{Kind, Tensor};

/// `V(s) = w·h + b`, at first 0 everywhere.
#[derive(Debug)]
pub struct ValueHead {
    weight: Tensor, // [1, D]
    bias: Tensor,   // [1]
}

impl ValueHead {
    /// A head for the policy's hidden states.
    ///
    /// # Errors
    /// The policy gives none.
    pub fn new(setup: &Setup) -> Result<Self> {
        if setup.hidden == 0 {
            let message = "this algorithm has a value head on the policy's hidden states, but this policy gives none; \
                           choose a policy with the capability `hidden`, or an algorithm without a value head";
            return Err(Error::Unsupported(message.into()));
        }
        let zeros = |size: &[i64]| -> Result<Tensor> {
            Ok(Tensor::zeros(size, (Kind::Float, setup.device()?)).set_requires_grad(true))
        };
        Ok(Self { weight: zeros(&[1, setup.hidden])?, bias: zeros(&[1])? })
    }

    /// Values of states `[B, G, P + 1, D]`. // [B, G, P + 1]
    pub fn values(&self, hidden: &Tensor) -> Tensor {
        hidden.linear(&self.weight, Some(&self.bias)).squeeze_dim(-1)
    }

    /// Weights by name, for `Algorithm::parameters`.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        vec![("value.weight".into(), self.weight.shallow_clone()), ("value.bias".into(), self.bias.shallow_clone())]
    }
}

/// Half the mean square of `values − returns` over active actions; with `clip` above 0 the worse of that and of the
/// same for values that may move only so far from `old` (PPO's reference code). // scalar
pub fn value_loss(values: &Tensor, old: &Tensor, returns: &Tensor, paths: &Paths, clip: f64) -> Tensor {
    let mut error = (values - returns).square(); // [B, G, P + 1]
    if clip > 0.0 {
        let near = old + (values - old).clamp(-clip, clip);
        error = error.maximum(&(near - returns).square());
    }
    masked::mean(&error, &actions::active(paths)) / 2.0
}

/// `loss + weight · value_loss`, reported as `algorithm/value_loss`.
pub fn add_value_loss(loss: Loss, value_loss: &Tensor, weight: f64) -> Loss {
    Loss { total: &loss.total + value_loss * weight, ..loss }.with("algorithm/value_loss", value_loss)
}

/// Share of the returns' variance that the values explain, `1 − Var(R − V) / Var(R)`. // scalar
pub fn explained_variance(values: &Tensor, returns: &Tensor, paths: &Paths) -> Tensor {
    let active = actions::active(paths);
    let all = masked::variance(returns, &active).clamp_min(1e-12);
    -(masked::variance(&(returns - values), &active) / all) + 1.0
}

/// Advantages of active actions with mean 0 and deviation 1 over all processes, 0 elsewhere. // [B, G, P + 1]
///
/// # Errors
/// Another process failed.
pub fn whitened(advantages: &Tensor, paths: &Paths, collective: &dyn Collective) -> Result<Tensor> {
    let active = actions::active(paths);
    let (mean, deviation) = if collective.processes() == 1 {
        (masked::mean(advantages, &active), masked::variance(advantages, &active).sqrt())
    } else {
        let mut moments = Moments::new(1);
        moments.update(&advantages.unsqueeze(-1), &active, collective)?;
        let of = |moment: &Tensor| moment.get(0).to_kind(advantages.kind());
        (of(moments.mean()), of(&moments.deviation()))
    };
    Ok(masked::keep(&((advantages - mean) / (deviation + 1e-8)), &active))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::algorithm::Alone;

    /// One prompt, one path of one item and a stop, `P = 2`.
    fn paths() -> Paths {
        Paths::from_items(Tensor::from_slice(&[5_i64, 0]).view([1, 1, 2]))
    }

    fn row(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([1, 1, -1])
    }

    #[test]
    fn value_loss_by_hand() {
        let (values, old, returns) = (row(&[3.0, 1.0, 9.0]), row(&[1.0, 1.0, 0.0]), row(&[4.0, 0.0, 0.0]));
        // errors 1 and 1; clipped to ±½ the first value is 1.5, whose error is 6.25
        assert_eq!(value_loss(&values, &old, &returns, &paths(), 0.0).double_value(&[]), 0.5);
        assert_eq!(value_loss(&values, &old, &returns, &paths(), 0.5).double_value(&[]), (6.25 + 1.0) / 4.0);
    }

    #[test]
    fn what_values_explain() {
        let returns = row(&[4.0, 0.0, 7.0]);
        assert_eq!(explained_variance(&returns, &returns, &paths()).double_value(&[]), 1.0);
        assert_eq!(explained_variance(&returns.zeros_like(), &returns, &paths()).double_value(&[]), 0.0);
    }

    #[test]
    fn whitened_advantages() {
        let white = Vec::<f64>::try_from(whitened(&row(&[4.0, 0.0, 7.0]), &paths(), &Alone).unwrap().view(-1)).unwrap();
        let half = 0.5_f64.sqrt();
        for (value, expected) in white.iter().zip([half, -half, 0.0]) {
            assert!((value - expected).abs() < 1e-6, "{white:?}");
        }
    }
}
