//! What layers and sub-layers are held to: the same, function by function.
#![allow(dead_code)]

use prorl_kernels::factors::Factors;
use prorl_kernels::layers::Inner;
use tch::{Kind, Tensor};

pub const EPSILON: f64 = 1e-6;

pub fn inner(factors: Factors, dropout: f64) -> Inner {
    Inner { epsilon: EPSILON, factors, dropout }
}

/// Rows over their root mean square.
pub fn normalised(x: &Tensor) -> Tensor {
    let mean_square = (x * x).mean_dim([-1].as_slice(), true, None::<Kind>);
    x * (mean_square + EPSILON).rsqrt()
}

/// What every prompt's rows find, prompt by prompt: states, keys and values, these two as factors.
pub fn looked_up(it: &[Tensor], lengths: &[usize], mask: &Tensor, heads: i64) -> Tensor {
    let lengths: Vec<i64> = lengths.iter().map(|length| *length as i64).collect();
    let rows = it[0].split_with_sizes(&lengths, 0);
    let found = rows.iter().enumerate().map(|(prompt, rows)| {
        let (keys, values) = (it[1].get(prompt as i64), it[2].get(prompt as i64));
        let scores = normalised(rows).to_kind(keys.kind()).mm(&keys.tr());
        let scores = scores.to_kind(it[0].kind()).unflatten(-1, [heads, -1]) + mask.get(prompt as i64);
        rows + scores.softmax(-1, None::<Kind>).flatten(1, 2).to_kind(keys.kind()).mm(&values).to_kind(it[0].kind())
    });
    Tensor::cat(&found.collect::<Vec<_>>(), 0)
}

/// The result of a function and the gradients of all inputs, for a gradient of the result.
pub fn with_gradients(function: impl Fn(&[Tensor]) -> Tensor, inputs: &[Tensor], of_result: &Tensor) -> Vec<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|it| it.detach().set_requires_grad(true)).collect();
    let result = function(&inputs);
    let loss = (&result * of_result).sum(Kind::Double);
    let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
    std::iter::once(result.detach()).chain(gradients).collect()
}

/// Holds gradients to the slopes of a function that draws the same in every call, each along its own direction.
pub fn hold_slopes(
    function: impl Fn(&[Tensor]) -> Tensor,
    inputs: &[Tensor],
    of_result: &Tensor,
    gradients: &[Tensor],
) {
    for (index, gradient) in gradients.iter().enumerate() {
        let (step, direction) = (1e-3, gradient / gradient.norm());
        let moved = |by: f64| {
            let mut inputs: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
            inputs[index] = &inputs[index] + &direction * by;
            (function(&inputs) * of_result).sum(Kind::Double).double_value(&[])
        };
        let (slope, told) = ((moved(step) - moved(-step)) / (2.0 * step), gradient.norm().double_value(&[]));
        assert!((slope / told - 1.0).abs() < 0.02, "input {index}: {slope} beside {told}");
    }
}
