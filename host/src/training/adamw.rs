//! AdamW (Loshchilov & Hutter, 2019), with gradients clipped by their global norm.
//!
//! The same arithmetic as `torch.optim.AdamW` and `clip_grad_norm_`, on parameters that live in plugins.
//! Its state can be saved, so that a resumed run continues as if never stopped.

use prorl_distributed::{AdamWStep, DistributedError, Moving, fused_adamw};
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

/// How parameters move.
#[derive(Clone, Copy, Debug)]
pub struct AdamWOptions {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global norm of the gradient; 0 is none.
    pub clip: f64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: 0.0 }
    }
}

/// A saved state does not fit.
#[derive(Debug, Error)]
#[error("the optimiser's saved state has no tensor `{0}` of the parameter's shape; was it saved by another model?")]
pub struct StateError(String);

struct Slot {
    name: String,
    parameter: Tensor,
    first: Tensor,
    second: Tensor,
}

/// AdamW over named parameters.
pub struct AdamW {
    options: AdamWOptions,
    slots: Vec<Slot>,
    steps: i64,
}

impl AdamW {
    /// An optimiser of those `parameters` that require gradient.
    pub fn new(parameters: Vec<(String, Tensor)>, options: AdamWOptions) -> Self {
        let slots = parameters
            .into_iter()
            .filter(|(_, parameter)| parameter.requires_grad())
            .map(|(name, parameter)| {
                let (first, second) = (parameter.detach().zeros_like(), parameter.detach().zeros_like());
                Slot { name, parameter, first, second }
            })
            .collect();
        Self { options, slots, steps: 0 }
    }

    /// Whether there is nothing to train.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Forgets all gradients.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// Moves the parameters against their gradients, all in one kernel; gives the gradient's global norm before clipping.
    ///
    /// # Errors
    /// Parameters are of several kinds or devices.
    pub fn step(&mut self, learning_rate: f64) -> Result<Tensor, DistributedError> {
        no_grad(|| {
            let norm = self.global_norm();
            self.steps += 1;
            let scale = (self.options.clip > 0.0).then(|| (self.options.clip / (&norm + 1e-6)).clamp_max(1.0));
            let mut moving = Moving::default();
            for slot in &self.slots {
                let gradient = slot.parameter.grad();
                if !gradient.defined() {
                    continue;
                }
                moving
                    .gradients
                    .push(scale.as_ref().map_or_else(|| gradient.shallow_clone(), |scale| &gradient * scale));
                moving.parameters.push(slot.parameter.shallow_clone());
                moving.first.push(slot.first.shallow_clone());
                moving.second.push(slot.second.shallow_clone());
            }
            if let Some(parameter) = moving.parameters.first() {
                let number = Tensor::from(self.steps as f32).to_device(parameter.device());
                fused_adamw(&moving, &number, self.options.step(learning_rate))?;
            }
            Ok(norm)
        })
    }

    fn global_norm(&self) -> Tensor {
        let norms: Vec<Tensor> = self
            .slots
            .iter()
            .map(|slot| slot.parameter.grad())
            .filter(Tensor::defined)
            .map(|gradient| gradient.norm().to_kind(Kind::Float))
            .collect();
        if norms.is_empty() { Tensor::from(0f32) } else { Tensor::stack(&norms, 0).norm() }
    }

    /// Moments and the number of steps, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![("steps".to_owned(), Tensor::from(self.steps))];
        for slot in &self.slots {
            state.push((format!("first.{}", slot.name), slot.first.shallow_clone()));
            state.push((format!("second.{}", slot.name), slot.second.shallow_clone()));
        }
        state
    }

    /// Takes back what [`AdamW::state`] gave.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), StateError> {
        let find = |name: &str| state.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
        let steps = find("steps").ok_or_else(|| StateError("steps".into()))?;
        for slot in &mut self.slots {
            for (prefix, moment) in [("first", &mut slot.first), ("second", &mut slot.second)] {
                let name = format!("{prefix}.{}", slot.name);
                let saved = find(&name).filter(|saved| saved.size() == moment.size());
                no_grad(|| saved.map(|saved| moment.copy_(saved))).ok_or(StateError(name))?;
            }
        }
        self.steps = steps.int64_value(&[]);
        Ok(())
    }
}

impl AdamWOptions {
    fn step(&self, rate: f64) -> AdamWStep {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        AdamWStep { rate, beta1, beta2, weight_decay, epsilon }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parameter(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_sign() {
        let x = parameter(&[1.0, -2.0]);
        let mut optimiser = AdamW::new(vec![("x".into(), x.shallow_clone())], AdamWOptions::default());
        (&x * Tensor::from_slice(&[3f32, -0.5])).sum(Kind::Float).backward();
        let norm = optimiser.step(0.1).unwrap();
        assert!((norm.double_value(&[]) - 9.25f64.sqrt()).abs() < 1e-6);
        let moved = Vec::<f32>::try_from(&x.detach()).unwrap();
        assert!((moved[0] - 0.9).abs() < 1e-6 && (moved[1] + 1.9).abs() < 1e-6, "{moved:?}");
    }

    #[test]
    fn ten_steps_match_the_formula_in_double_precision() {
        let options = AdamWOptions { weight_decay: 0.05, clip: 1.0, ..Default::default() };
        let x = Tensor::from_slice(&[0.5f64]).set_requires_grad(true);
        let mut optimiser = AdamW::new(vec![("x".into(), x.shallow_clone())], options);
        let (mut value, mut mean, mut square) = (0.5f64, 0.0, 0.0);
        for step in 1..=10 {
            optimiser.zero_grad();
            (&x * &x * &x * 2.0).sum(Kind::Double).backward();
            let raw = 6.0 * value * value;
            let gradient = raw * (1.0 / (raw + 1e-6)).min(1.0);
            mean = 0.9 * mean + 0.1 * gradient;
            square = 0.999 * square + 0.001 * gradient * gradient;
            let corrected = (square / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8;
            value = value * (1.0 - 0.01 * 0.05) - 0.01 * mean / (1.0 - 0.9f64.powi(step)) / corrected;
            let _ = optimiser.step(0.01).unwrap();
        }
        assert!((x.double_value(&[0]) - value).abs() < 1e-7, "{} {value}", x.double_value(&[0]));
    }

    #[test]
    fn a_saved_state_continues_identically_and_a_wrong_one_is_refused() {
        let run = |x: &Tensor, optimiser: &mut AdamW| {
            optimiser.zero_grad();
            (x * x).sum(Kind::Float).backward();
            let _ = optimiser.step(0.01).unwrap();
        };
        let (a, b) = (parameter(&[1.0, 2.0]), parameter(&[1.0, 2.0]));
        let mut first = AdamW::new(vec![("x".into(), a.shallow_clone())], AdamWOptions::default());
        run(&a, &mut first);
        no_grad(|| b.shallow_clone().copy_(&a));
        let mut second = AdamW::new(vec![("x".into(), b.shallow_clone())], AdamWOptions::default());
        second.load_state(&first.state()).unwrap();
        run(&a, &mut first);
        run(&b, &mut second);
        assert_eq!(Vec::<f32>::try_from(&a.detach()).unwrap(), Vec::<f32>::try_from(&b.detach()).unwrap());
        assert!(second.load_state(&[]).unwrap_err().to_string().contains("steps"));
    }
}
