//! The gradient of a batch that does not fit into memory at once, for any loss.
//!
//! The chain rule is cut in two at the log-probabilities: the loss of the whole batch is differentiated by them, as if
//! they were parameters; then, for some prompts at a time, they are computed anew and `Σ log-probability · ∂loss/∂
//! log-probability` is differentiated by the policy's parameters. The parts' gradients add up to the whole one, for one
//! more pass forward.

use prorl_sdk::policy::ActionLogProbs;
use tch::{Kind, Tensor};

/// The same values, at which backward ends.
pub fn leaves(values: &ActionLogProbs) -> ActionLogProbs {
    let leaf = |tensor: &Tensor| tensor.detach().set_requires_grad(true);
    ActionLogProbs {
        digits: leaf(&values.digits),
        entropy: values.entropy.as_ref().map(leaf),
        distribution: values.distribution.as_ref().map(leaf),
        hidden: values.hidden.as_ref().map(leaf),
    }
}

/// A scalar whose gradient is the part of the loss's that goes through `own`: the log-probabilities of the prompts from
/// `start` on of those whose `leaves` backward has reached.
pub fn carried_on(own: &ActionLogProbs, leaves: &ActionLogProbs, start: i64) -> Tensor {
    let pairs = [
        (Some(&own.digits), Some(&leaves.digits)),
        (own.entropy.as_ref(), leaves.entropy.as_ref()),
        (own.distribution.as_ref(), leaves.distribution.as_ref()),
        (own.hidden.as_ref(), leaves.hidden.as_ref()),
    ];
    let mut sum = own.digits.sum(Kind::Float) * 0.0;
    for (values, leaf) in pairs {
        let (Some(values), Some(leaf)) = (values, leaf) else { continue };
        let gradient = leaf.grad();
        if gradient.defined() {
            let gradient = gradient.narrow(0, start, values.size()[0]);
            // What is not allowed is minus infinity, and matters to no loss.
            sum += (values.masked_fill(&gradient.eq(0.0), 0.0) * gradient).sum(Kind::Float);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::Device;

    fn log_probs(logits: &Tensor) -> ActionLogProbs {
        let distribution = logits.log_softmax(-1, None::<Kind>); // [B, C]
        ActionLogProbs {
            digits: distribution.select(1, 0),
            entropy: None,
            distribution: Some(distribution),
            hidden: None,
        }
    }

    /// A loss that no sum over prompts gives.
    fn loss(values: &ActionLogProbs) -> Tensor {
        let allowed = values.distribution.as_ref().unwrap().narrow(1, 0, 2);
        values.digits.exp().mean(Kind::Float).square() + allowed.std(true)
    }

    #[test]
    fn parts_add_up_to_the_gradient_of_a_loss_that_couples_prompts() {
        tch::manual_seed(3);
        let weights = Tensor::randn([4, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let inputs = Tensor::randn([5, 4], (Kind::Float, Device::Cpu));
        let forbidden = Tensor::from_slice(&[0.0_f32, 0.0, f32::NEG_INFINITY]);
        let current = |start: i64, count: i64| log_probs(&(inputs.narrow(0, start, count).mm(&weights) + &forbidden));
        loss(&current(0, 5)).backward();
        let whole = weights.grad().copy();
        let _ = weights.grad().zero_();
        let leaves = leaves(&current(0, 5));
        loss(&leaves).backward();
        for (start, count) in [(0, 2), (2, 2), (4, 1)] {
            carried_on(&current(start, count), &leaves, start).backward();
        }
        let apart = (weights.grad() - &whole).abs().max().double_value(&[]);
        assert!(apart < 1e-6 && whole.abs().max().double_value(&[]) > 1e-3, "{apart}");
    }
}
