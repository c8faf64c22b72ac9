//! The sub-layers' places in libtorch's graph.

use super::Sights;
use super::parts::{backward, cut, forward};
use super::rows::{Between, Gradients, Sublayer};
use crate::attention::Spans;
use crate::dropping::Dropping;
use crate::factors::Factors;
use crate::floats::numbers_of;
use crate::layers::Inner;
use crate::node::{attach, wanted};
use crate::number::{Number, with_numbers};
use crate::softmax::passes::{STEP, padded};
use std::marker::PhantomData;
use tch::{Kind, Tensor};

pub fn feed_forward(states: &Tensor, into: &Tensor, out: &Tensor, inner: Inner) -> Tensor {
    with_numbers!(inner.factors, N => feed_forward_of::<N>(states, into, out, inner))
}

fn feed_forward_of<N: Number>(states: &Tensor, into: &Tensor, out: &Tensor, inner: Inner) -> Tensor {
    let inputs = [states, into, out];
    let [within, after] = [Dropping::new(inner.dropout), Dropping::new(inner.dropout)];
    let rows = cut(states.size()[0] as usize);
    let parts = rows.iter().enumerate().map(|(number, _)| Sublayer::<N> {
        into: into.detach(),
        out: out.detach(),
        epsilon: inner.epsilon as f32,
        between: Between::Rectified(within),
        dropping: after,
        number,
        numbers: PhantomData,
    });
    let parts: Vec<_> = parts.collect();
    let lengths: Vec<usize> = rows.iter().map(|rows| rows * states.size()[1] as usize).collect();
    let (result, kept) = forward(&states.detach().contiguous(), &parts, &lengths, wanted(&inputs));
    if let Some(kept) = kept {
        attach(&result, &inputs, move |of_result| {
            let (of_states, gradients) = backward(&parts, &lengths, &kept, &of_result.contiguous());
            let sum = |of: fn(&Gradients) -> &Tensor| {
                let all: Vec<&Tensor> = gradients.iter().map(of).collect();
                Tensor::stack(&all, 0).sum_dim_intlist([0].as_slice(), false, Kind::Float).to_kind(N::KIND)
            };
            let (of_into, of_out) = (sum(|it| &it.of_into).tr(), sum(|it| &it.of_out));
            vec![Some(of_states), Some(of_into), Some(of_out)]
        });
    }
    result
}

pub fn look(states: &Tensor, spans: &Spans, sights: Sights<'_>, factors: Factors, epsilon: f64) -> Tensor {
    with_numbers!(factors, N => look_of::<N>(states, spans, sights, epsilon))
}

fn look_of<N: Number>(states: &Tensor, spans: &Spans, sights: Sights<'_>, epsilon: f64) -> Tensor {
    let Sights { keys, values, mask, heads } = sights;
    let inputs = [states, keys, values];
    let size = keys.size();
    let (prompts, each, width) = (size[0] as usize, (size[1] / heads) as usize, size[2] as usize);
    let mask = mask.map(|mask| mask.detach().contiguous());
    let masks = padded(mask.as_ref().map(numbers_of::<f32>), prompts, each);
    let (of_keys, of_values) = (keys.detach().contiguous(), values.detach().contiguous());
    let parts = masks.chunks_exact(each.next_multiple_of(STEP)).enumerate().map(|(prompt, mask)| Sublayer::<N> {
        into: of_keys.get(prompt as i64).tr(),
        out: of_values.get(prompt as i64),
        epsilon: epsilon as f32,
        between: Between::Softmax { keys: each, mask: mask.into() },
        dropping: None,
        number: prompt,
        numbers: PhantomData,
    });
    let parts: Vec<_> = parts.collect();
    let lengths: Vec<usize> = (0..spans.len()).map(|prompt| spans.of(prompt).len() * width).collect();
    let (result, kept) = forward(&states.detach().contiguous(), &parts, &lengths, wanted(&inputs));
    if let Some(kept) = kept {
        attach(&result, &inputs, move |of_result| {
            let (of_states, gradients) = backward(&parts, &lengths, &kept, &of_result.contiguous());
            let stacked =
                |of: fn(&Gradients) -> &Tensor| Some(Tensor::stack(&gradients.iter().map(of).collect::<Vec<_>>(), 0));
            vec![Some(of_states), stacked(|it| &it.of_into), stacked(|it| &it.of_out)]
        });
    }
    result
}
