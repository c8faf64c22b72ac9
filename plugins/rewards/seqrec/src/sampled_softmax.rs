//! Cross-entropy against a sample of the items, for catalogues where all items are too many.
//!
//! With `K` items `n_k` drawn uniformly and with replacement from the `V` items, `V / K Σ_{k : n_k ≠ y} exp(h · E_{n_k})`
//! estimates `Σ_{v ≠ y} exp(h · E_v)` without bias, so `ln(exp(h · E_y) + …) − h · E_y` estimates the full loss: the
//! sampled softmax of Jean et al. (2015) with a uniform proposal. It costs `K / V` of the full one, in time and in memory.

use tch::{Kind, Tensor};

/// `count` items, drawn uniformly with replacement from rows 1 to `V` of `embedding` `[V + 1, D]`. // [K]
pub fn draw(count: i64, embedding: &Tensor) -> Tensor {
    Tensor::randint_low(1, embedding.size()[0], [count], (Kind::Int64, embedding.device()))
}

/// Mean estimate of the cross-entropy of `states` `[M, D]` against `targets` `[M]`, from the items `negatives` `[K]`;
/// those that are a row's own target do not count for it. 0 if `M` is. // scalar
pub fn mean(states: &Tensor, embedding: &Tensor, targets: &Tensor, negatives: &Tensor) -> Tensor {
    let (rows, drawn) = (states.size()[0], negatives.size()[0]);
    if rows == 0 {
        return (states * 0.0).sum(None);
    }
    let items = Tensor::cat(&[targets, negatives], 0); // [M + K]
    let read = embedding.index_select(0, &items); // [M + K, D]: one gather, so one scatter of the gradient
    let own = (states * read.narrow(0, 0, rows)).sum_dim_intlist(-1, true, None); // [M, 1]
    let every = (embedding.size()[0] - 1) as f64;
    let correction = (every / drawn as f64).ln();
    let others = states.mm(&read.narrow(0, rows, drawn).tr()) + correction; // [M, K]
    let same = negatives.unsqueeze(0).eq_tensor(&targets.unsqueeze(-1)); // [M, K]
    let others = others.masked_fill(&same, f64::NEG_INFINITY); // [M, K]
    let all = Tensor::cat(&[&own, &others], 1); // [M, 1 + K]
    (all.logsumexp(-1, false) - own.squeeze_dim(-1)).mean(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cross_entropy;
    use prorl_testkit::closeness::{GRADIENTS, VALUES, assert_close};
    use tch::Device;

    fn leaf(size: [i64; 2]) -> Tensor {
        Tensor::randn(size, (Kind::Float, Device::Cpu)).set_requires_grad(true)
    }

    #[test]
    fn with_every_item_once_it_is_the_full_loss_without_padding() {
        let (states, embedding) = (leaf([5, 4]), leaf([8, 4]));
        let targets = Tensor::from_slice(&[1i64, 7, 3, 3, 5]);
        let every = Tensor::arange_start(1, 8, (Kind::Int64, Device::Cpu));
        let loss = mean(&states, &embedding, &targets, &every);
        let items = embedding.narrow(0, 1, 7);
        let expected = cross_entropy::mean(&states, &items, &(&targets - 1));
        assert_close("loss", &loss, &expected, VALUES);
        let of = |loss: &Tensor| Tensor::run_backward(&[loss], &[&states, &embedding], false, false);
        let (mine, full) = (of(&loss), of(&expected));
        assert_close("by states", &mine[0], &full[0], GRADIENTS);
        assert_close("by embedding", &mine[1], &full[1], GRADIENTS);
    }

    #[test]
    fn the_sum_over_the_others_is_estimated_without_bias() {
        let _guard = tch::no_grad_guard();
        tch::manual_seed(7);
        let (states, embedding) = (leaf([1, 4]), leaf([20, 4]));
        let target = Tensor::from_slice(&[3i64]);
        let scores = embedding.mv(&states.get(0)).exp(); // [V + 1]
        let expected = scores.narrow(0, 1, 19).sum(None) - scores.get(3); // scalar
        let own = scores.double_value(&[3]);
        let estimates: f64 = (0..4_000)
            .map(|_| {
                let loss = mean(&states, &embedding, &target, &draw(5, &embedding)).double_value(&[]);
                own * loss.exp() - own
            })
            .sum();
        let mean = estimates / 4_000.0;
        let expected = expected.double_value(&[]);
        assert!((mean / expected - 1.0).abs() < 0.05, "{mean} should be about {expected}");
    }

    #[test]
    fn drawn_items_are_real_ones() {
        let drawn = draw(1_000, &leaf([4, 2]));
        assert_eq!((drawn.min().int64_value(&[]), drawn.max().int64_value(&[])), (1, 3));
    }

    #[test]
    fn of_nothing_the_loss_is_zero() {
        let none = Tensor::from_slice::<i64>(&[]);
        let loss = mean(&leaf([0, 4]), &leaf([5, 4]), &none, &Tensor::from_slice(&[1i64]));
        assert_eq!(loss.double_value(&[]), 0.0);
    }
}
