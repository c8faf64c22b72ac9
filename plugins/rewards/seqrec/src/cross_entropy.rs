//! Cross-entropy over all items without a tensor of all scores.
//!
//! `loss = mean_m(ln Σ_v exp(h_m · E_v) − h_m · E_{y_m})`, the CE loss of RecBole's sequential models: padding's
//! row 0 takes part. Its gradient is known: with `p = softmax(h E^T)` and one-hot `y`,
//! `∂/∂h = (p − y) E / M` and `∂/∂E = (p − y)^T h / M`. So one pass over chunks that fit the cache gives
//! loss and both gradients, and autograd keeps nothing of size `[M, V + 1]`.

use crate::chunks;
use tch::{Kind, Tensor, no_grad_guard};

/// Mean cross-entropy of `states` `[M, D]` against `targets` `[M]` over all rows of `embedding`
/// `[V + 1, D]`; differentiable once in both where `states` requires gradient. 0 if `M` is. // scalar
pub fn mean(states: &Tensor, embedding: &Tensor, targets: &Tensor) -> Tensor {
    let rows = chunks::rows(embedding.size()[0], states.device()).max(LEAST_ROWS);
    mean_by(states, embedding, targets, rows)
}

/// Rows that make a product with all items worth while, however many these are.
const LEAST_ROWS: i64 = 32;

/// The same with `rows` rows at a time.
fn mean_by(states: &Tensor, embedding: &Tensor, targets: &Tensor, rows: i64) -> Tensor {
    let mut sums = Sums::zero(states, embedding);
    sums.add_all(states, embedding, targets, rows);
    let scale = 1.0 / states.size()[0].max(1) as f64;
    let loss = sums.loss * scale; // scalar
    if !states.requires_grad() {
        return loss;
    }
    // Its value is of no interest; its gradients are those of the loss.
    let carrier = (states * sums.by_states * scale).sum(None) + (embedding * sums.by_embedding * scale).sum(None); // scalar
    loss + (&carrier - carrier.detach())
}

/// Sums over rows: the loss and its gradients.
struct Sums {
    loss: Tensor,         // scalar
    by_states: Tensor,    // [M, D]
    by_embedding: Tensor, // [V + 1, D]
}

impl Sums {
    fn zero(states: &Tensor, embedding: &Tensor) -> Self {
        Self {
            loss: Tensor::zeros([], (Kind::Float, states.device())),
            by_states: states.zeros_like().detach(),
            by_embedding: embedding.zeros_like().detach(),
        }
    }

    fn add_all(&mut self, states: &Tensor, embedding: &Tensor, targets: &Tensor, rows: i64) {
        let differentiate = states.requires_grad();
        let _guard = no_grad_guard();
        let count = states.size()[0];
        let size = [rows.min(count), embedding.size()[0]];
        let scores = Tensor::empty(size, (states.kind(), states.device())); // [R, V + 1]
        let log_probs = scores.empty_like(); // [R, V + 1]
        for (start, rows) in chunks::ranges(count, rows) {
            let states = states.narrow(0, start, rows); // [R, D]
            let target = targets.narrow(0, start, rows).unsqueeze(-1); // [R, 1]
            let scores = scores.narrow(0, 0, rows); // [R, V + 1]
            let mut log_probs = log_probs.narrow(0, 0, rows); // [R, V + 1]
            let _ = states.mm_out(&scores, &embedding.tr());
            let _ = scores.log_softmax_int_out(&log_probs, -1, None);
            self.loss -= log_probs.gather(1, &target, false).sum(None);
            if differentiate {
                let mut slope = log_probs.exp_(); // [R, V + 1]
                let _ = slope.scatter_add_(1, &target, &-target.ones_like().to_kind(slope.kind()));
                let _ = slope.mm_out(&self.by_states.narrow(0, start, rows), embedding);
                let _ = self.by_embedding.addmm_(&slope.tr(), &states);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use prorl_testkit::closeness::{GRADIENTS, VALUES, assert_close};
    use tch::Device;

    fn leaf(size: [i64; 2]) -> Tensor {
        Tensor::randn(size, (Kind::Float, Device::Cpu)).set_requires_grad(true)
    }

    #[test]
    fn loss_and_gradients_are_autograds_whatever_the_chunk() {
        let (states, embedding) = (leaf([11, 8]), leaf([30, 8]));
        let targets = Tensor::randint(30, [11], (Kind::Int64, Device::Cpu));
        let expected = states.mm(&embedding.tr()).cross_entropy_for_logits(&targets);
        let slopes = Tensor::run_backward(&[&expected], &[&states, &embedding], false, false);
        for rows in [1, 4, 11, 100] {
            let loss = mean_by(&states, &embedding, &targets, rows);
            assert_close("loss", &loss, &expected, VALUES);
            // Twice the loss, so that the gradient that arrives is not 1.
            let mine = Tensor::run_backward(&[loss * 2.0], &[&states, &embedding], false, false);
            assert_close("by states", &mine[0], &(&slopes[0] * 2.0), GRADIENTS);
            assert_close("by embedding", &mine[1], &(&slopes[1] * 2.0), GRADIENTS);
        }
    }

    #[test]
    fn scores_far_apart_stay_finite() {
        let states = Tensor::from_slice(&[200.0f32, 0.0]).view([1, 2]).set_requires_grad(true);
        let embedding = Tensor::from_slice(&[1.0f32, 0.0, -1.0, 0.0]).view([2, 2]);
        let loss = mean(&states, &embedding, &Tensor::from_slice(&[1i64]));
        assert_close("loss", &loss, &Tensor::from(400.0f32), VALUES);
    }

    #[test]
    fn without_gradient_there_is_only_a_value() {
        let (states, embedding) = (leaf([3, 4]), leaf([5, 4]));
        let targets = Tensor::from_slice(&[1i64, 2, 3]);
        let expected = mean(&states, &embedding, &targets);
        let loss = mean(&states.detach(), &embedding, &targets);
        assert!(!loss.requires_grad());
        assert_close("loss", &loss, &expected, VALUES);
    }

    #[test]
    fn of_nothing_the_loss_is_zero() {
        let loss = mean(&leaf([0, 4]), &leaf([5, 4]), &Tensor::from_slice::<i64>(&[]));
        assert_close("loss", &loss, &Tensor::from(0.0f32), VALUES);
    }
}
