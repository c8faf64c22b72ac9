//! libtorch's fused AdamW, which tch does not name: it lies here because this crate has the shim.

use crate::Result;
use crate::calls;
use crate::error::DistributedError;
use tch::Tensor;

/// How far and how one step of AdamW moves.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Added to the denominator.
    pub epsilon: f64,
}

/// What a step moves: lists of equal length, of one kind and device, parameter by parameter.
#[derive(Default)]
pub struct Moving {
    /// Parameters.
    pub parameters: Vec<Tensor>,
    /// Their gradients.
    pub gradients: Vec<Tensor>,
    /// Running means of gradients.
    pub first: Vec<Tensor>,
    /// Running means of squared gradients.
    pub second: Vec<Tensor>,
}

/// One step of `torch.optim.AdamW(fused=True)`, in place; `number` is the step's number, from 1, as a float scalar on the
/// parameters' device.
///
/// # Errors
/// Kinds, shapes or devices do not fit.
pub fn fused_adamw(moving: &Moving, number: &Tensor, step: AdamWStep) -> Result<()> {
    calls::adamw(moving, number, step).map_err(DistributedError::Optimiser)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STEP: AdamWStep = AdamWStep { rate: 0.1, beta1: 0.9, beta2: 0.999, weight_decay: 0.5, epsilon: 1e-8 };

    fn moving(gradients: usize) -> Moving {
        let list = |count: usize, value: f32| (0..count).map(|_| Tensor::from_slice(&[value, -value])).collect();
        Moving { parameters: list(2, 1.0), gradients: list(gradients, 3.0), first: list(2, 0.0), second: list(2, 0.0) }
    }

    #[test]
    fn a_first_step_decays_and_moves_by_the_rate() {
        let moving = moving(2);
        let _ = moving.parameters[0].set_requires_grad(true);
        fused_adamw(&moving, &Tensor::from(1.0_f32), STEP).unwrap();
        for parameter in &moving.parameters {
            let values = Vec::<f32>::try_from(parameter.detach()).unwrap();
            assert!((values[0] - 0.85).abs() < 1e-6 && (values[1] + 0.85).abs() < 1e-6, "{values:?}");
        }
        assert!((moving.first[1].double_value(&[0]) - 0.3).abs() < 1e-6);
    }

    #[test]
    fn lists_of_unequal_length_are_refused() {
        let refused = fused_adamw(&moving(1), &Tensor::from(1.0_f32), STEP).unwrap_err();
        assert!(refused.to_string().contains("2 parameters, but 1 gradients"), "{refused}");
    }
}
