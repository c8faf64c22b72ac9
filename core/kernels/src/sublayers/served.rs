//! Rows shared out among libtorch's threads, and the sub-layers' places in its graph.

use super::Sights;
use super::rows::{Between, Gradients, Kept, Sublayer};
use crate::attention::Spans;
use crate::dropping::Dropping;
use crate::factors::Factors;
use crate::floats::{numbers_of, numbers_of_new};
use crate::layers::Inner;
use crate::node::{attach, wanted};
use crate::number::{Number, with_numbers};
use crate::softmax::passes::padded;
use crate::threads::{run, threads};
use std::marker::PhantomData;
use tch::{Kind, Tensor};

/// Rows whose numbers stay near a thread from one product to the next: with 512 activations, each of these and of its
/// gradient in bf16, some 2 MB.
const ROWS: usize = 512;

/// Rows that are worth the calls of libtorch's products.
const WORTH_CALLS: usize = 128;

/// As many numbers as each part has.
type Lengths = Vec<usize>;

/// Rows of each part of so many, the same for as many threads.
fn cut(rows: usize) -> Lengths {
    // As many for each thread.
    let count = rows.div_ceil(ROWS).next_multiple_of(threads()).min(rows / WORTH_CALLS).max(1);
    (0..count).map(|part| rows * (part + 1) / count - rows * part / count).collect()
}

fn split<'a>(mut numbers: &'a [f32], lengths: &[usize]) -> Vec<&'a [f32]> {
    lengths.iter().filter_map(|length| numbers.split_off(..*length)).collect()
}

fn split_mut<'a>(mut numbers: &'a mut [f32], lengths: &[usize]) -> Vec<&'a mut [f32]> {
    lengths.iter().filter_map(|length| numbers.split_off_mut(..*length)).collect()
}

/// The result, and what each part keeps where that is wanted; else the next part finds its memory near.
fn forward<N: Number>(
    states: &Tensor,
    parts: &[Sublayer<N>],
    lengths: &[usize],
    keeps: bool,
) -> (Tensor, Option<Vec<Kept>>) {
    let mut result = states.empty_like();
    let results = split_mut(numbers_of_new(&mut result), lengths);
    let jobs = parts.iter().zip(split(numbers_of(states), lengths)).zip(results);
    let jobs = jobs.map(|((part, states), result)| (part.shared(), states, result)).collect();
    let kept =
        run(jobs, |(part, states, result)| tch::no_grad(|| Some(part.forward(states, result)).filter(|_| keeps)));
    (result, kept.into_iter().collect())
}

/// The gradient of the states, and those of each part's weights.
fn backward<N: Number>(
    parts: &[Sublayer<N>],
    lengths: &[usize],
    kept: &[Kept],
    of_result: &Tensor,
) -> (Tensor, Vec<Gradients>) {
    let mut of_states = of_result.empty_like();
    let into = split_mut(numbers_of_new(&mut of_states), lengths);
    let known = parts.iter().zip(kept).map(|(part, kept)| (part.shared(), kept.shared()));
    let jobs = known.zip(split(numbers_of(of_result), lengths)).zip(into).collect();
    let gradients =
        run(jobs, |(((part, kept), of_result), into)| tch::no_grad(|| part.backward(&kept, of_result, into)));
    (of_states, gradients)
}

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
    let lengths: Lengths = rows.iter().map(|rows| rows * states.size()[1] as usize).collect();
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
    let parts = masks.chunks_exact(each).enumerate().map(|(prompt, mask)| Sublayer::<N> {
        into: of_keys.get(prompt as i64).tr(),
        out: of_values.get(prompt as i64),
        epsilon: epsilon as f32,
        between: Between::Softmax(mask.into()),
        dropping: None,
        number: prompt,
        numbers: PhantomData,
    });
    let parts: Vec<_> = parts.collect();
    let lengths: Lengths = (0..spans.len()).map(|prompt| spans.of(prompt).len() * width).collect();
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
