//! All heads over all sequences.
#![allow(unsafe_code)]

use super::backward::{self, Backward, Known};
use super::few::{self, FEW};
use super::forward::{self, Forward};
use super::matrices::{self, Matrices};
use super::output::Output;
use super::parts::{parts, split};
use super::sequence::Sequence;
use super::spans::Spans;
use crate::dropping::Dropping;
use crate::factors::Factors;
use crate::floats::{Ahead, Part, Rows, numbers_of_new};
use crate::number::{Number, with_numbers};
use crate::registers::{Eight, Registers, Sixteen, registers_of_sixteen};
use crate::threads::run;
use crate::tiles::HIGH;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// How sequences look at each other.
pub struct Plan {
    pub from: Spans,
    pub to: Spans,
    pub heads: usize,
    /// Of a head.
    pub width: usize,
    /// The first column of queries, keys and values in their rows.
    pub columns: [usize; 3],
    /// Whether queries lie in the same rows as keys and values, and so do their gradients.
    pub joined: bool,
    pub causal: bool,
    pub factors: Factors,
    /// The queries' places in their sequences, where they are not all in order from the first.
    pub places: Option<Vec<usize>>, // [N]
    pub dropping: Option<Dropping>,
}

/// A call.
pub struct Whole {
    pub plan: Plan,
    pub queries: Tensor, // [N, ..]
    pub others: Tensor,  // [N', ..]
    /// With room for whole tiles. // [heads * T, step]
    pub bias: Option<Tensor>,
}

/// What the backward pass needs of the forward pass.
pub struct Found {
    pub found: Tensor,       // [N, heads * width]
    pub normalisers: Tensor, // [N, heads * 2]
}

/// Gradients of a call's factors and bias.
pub struct Gradients {
    pub of_queries: Tensor, // as `queries`
    /// Absent where they are in those of the queries.
    pub of_others: Option<Tensor>, // as `others`
    pub of_bias: Option<Tensor>, // as `bias`
}

/// Tensors' numbers.
struct View<'a, N> {
    plan: &'a Plan,
    queries: Rows<'a, N>,
    others: Rows<'a, N>,
    bias: Option<Rows<'a>>,
}

impl Plan {
    /// Room for rows of `width`: zeros where not every row belongs to a sequence.
    fn blank(&self, spans: &Spans, width: usize, kind: Kind) -> Tensor {
        let size = [spans.rows() as i64, width as i64];
        let covered = (0..spans.len()).filter(|&it| !self.skips(it)).map(|it| spans.of(it).len()).sum::<usize>();
        if covered == spans.rows() {
            return Tensor::empty(size, (kind, Device::Cpu));
        }
        Tensor::zeros(size, (kind, Device::Cpu))
    }

    /// Whether nothing looks or nothing is to be seen.
    fn skips(&self, sequence: usize) -> bool {
        self.from.of(sequence).is_empty() || self.to.length(sequence) == 0
    }

    fn parts(&self) -> Vec<Range<usize>> {
        parts(&self.from, &self.to, self.heads * self.width, tch::get_num_threads().max(1) as usize)
    }
}

impl Whole {
    /// What queries find.
    pub fn forward(&self) -> Found {
        with_numbers!(self.plan.factors, N => self.forward_of::<N>())
    }

    /// Gradients from the gradient of what was found, `[N, heads * width]`, a factor like that.
    pub fn backward(&self, known: &Found, of_found: &Tensor, wants_bias: bool) -> Gradients {
        with_numbers!(self.plan.factors, N => self.backward_of::<N>(known, of_found, wants_bias))
    }

    fn forward_of<N: Number>(&self) -> Found {
        let plan = &self.plan;
        let mut found = plan.blank(&plan.from, plan.heads * plan.width, N::KIND);
        let mut normalisers = plan.blank(&plan.from, 2 * plan.heads, Kind::Float);
        let (parts, view) = (plan.parts(), self.view::<N>());
        let of_found = split(numbers_of_new(&mut found), plan.heads * plan.width, &plan.from, &parts);
        let of_normalisers = split(numbers_of_new(&mut normalisers), 2 * plan.heads, &plan.from, &parts);
        let jobs: Vec<_> = parts.into_iter().zip(of_found.into_iter().zip(of_normalisers)).collect();
        run(jobs, |(part, (found, normalisers))| {
            // SAFETY: the processor has AVX2 and FMA, as was asked before the call was made, and those registers.
            unsafe {
                match registers_of_sixteen() {
                    true => view.forward_part::<Sixteen>(part, found, normalisers.numbers),
                    false => view.forward_part::<Eight>(part, found, normalisers.numbers),
                }
            }
        });
        Found { found, normalisers }
    }

    fn backward_of<N: Number>(&self, known: &Found, of_found: &Tensor, wants_bias: bool) -> Gradients {
        let plan = &self.plan;
        let (parts, view) = (plan.parts(), self.view::<N>());
        let width = |tensor: &Tensor| tensor.size()[1] as usize;
        let mut of_queries = plan.blank(&plan.from, width(&self.queries), N::KIND);
        let mut of_others = (!plan.joined).then(|| plan.blank(&plan.to, width(&self.others), N::KIND));
        let queries = split(numbers_of_new(&mut of_queries), width(&self.queries), &plan.from, &parts);
        let others = of_others
            .as_mut()
            .map_or_else(Vec::new, |of_others| split(numbers_of_new(of_others), width(&self.others), &plan.to, &parts));
        let mut others = others.into_iter();
        let jobs: Vec<_> =
            parts.into_iter().zip(queries).map(|(part, queries)| (part, queries, others.next())).collect();
        let (found, of_found, normalisers) = (Rows::of(&known.found), Rows::of(of_found), Rows::of(&known.normalisers));
        let mut sums = run(jobs, |(part, queries, others)| {
            let known = ([found, of_found], normalisers);
            // SAFETY: as above.
            unsafe {
                match registers_of_sixteen() {
                    true => view.backward_part::<Sixteen>(part, known, (queries, others), wants_bias),
                    false => view.backward_part::<Eight>(part, known, (queries, others), wants_bias),
                }
            }
        });
        let of_bias = self.bias.as_ref().filter(|_| wants_bias).map(|bias| {
            let rest = sums.split_off(1);
            let total = rest.iter().fold(sums.remove(0), |mut total, sums| {
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
                total
            });
            Tensor::from_slice(&total).view_as(bias)
        });
        Gradients { of_queries, of_others, of_bias }
    }

    fn view<N: Number>(&self) -> View<'_, N> {
        View {
            plan: &self.plan,
            queries: Rows::of(&self.queries),
            others: Rows::of(&self.others),
            bias: self.bias.as_ref().map(Rows::of),
        }
    }
}

impl<'a, N: Number> View<'a, N> {
    fn sequence(&self, sequence: usize) -> Sequence<'a, N> {
        let Plan { from, to, heads, width, columns, causal, places, dropping, .. } = self.plan;
        let begin = usize::from(from.shared(sequence).is_some());
        let (from, shared, to) = (from.of(sequence), to.shared(sequence), to.of(sequence));
        let block =
            |rows: Rows<'a, N>, span: &Range<usize>, column| rows.block(span.start, span.len(), column, heads * width);
        let seen =
            |column| block(self.others, &to, column).after(shared.map(|shared| &self.others.from(shared)[column..]));
        Sequence {
            queries: block(self.queries, &from, columns[0]),
            keys: seen(columns[1]),
            values: seen(columns[2]),
            heads: *heads,
            width: *width,
            bias: self.bias,
            causal: *causal,
            places: places.as_ref().map(|places| &places[from.clone()]),
            begin,
            decisions: dropping.map_or_else(Vec::new, |dropping| {
                (0..*heads).map(|head| dropping.decisions(((sequence as u64) << 16) | head as u64)).collect()
            }),
        }
    }

    /// What the sequence after this one reads, in as many steps as this one's passes make.
    fn ahead(&self, sequence: usize, results: [Option<Rows<'a, N>>; 2], high: usize) -> Ahead<'a, N> {
        let Plan { from, to, heads, joined, .. } = self.plan;
        let steps = heads * from.of(sequence).len().div_ceil(high);
        if sequence + 1 >= from.len() {
            return Ahead::of([&[]; 4], steps);
        }
        let (queries, keys) = (from.of(sequence + 1), to.of(sequence + 1));
        let others = if *joined { &[] } else { self.others.all(&keys) };
        let [found, of_found] = results.map(|rows| rows.map_or(&[][..], |rows| rows.all(&queries)));
        Ahead::of([self.queries.all(&queries), others, found, of_found], steps)
    }

    #[target_feature(enable = "avx2,fma")]
    fn forward_part<R: Registers>(&self, sequences: Range<usize>, found: Part<'_, N>, normalisers: &mut [f32]) {
        let Plan { heads, width, from, .. } = self.plan;
        let registers = Matrices::of::<N>(*width);
        let high = if registers.is_some() { matrices::HIGH } else { HIGH };
        let (mut room, mut room_of_matrices) = (Forward::default(), matrices::Forward::default());
        for index in sequences.filter(|&it| !self.plan.skips(it)) {
            let row = from.of(index).start - found.first;
            let found = &mut found.numbers[row * heads * width..];
            let mut ahead = self.ahead(index, [None, None], high);
            let (sequence, normalisers) = (self.sequence(index), &mut normalisers[row * heads * 2..]);
            if sequence.queries.count <= FEW && sequence.decisions.is_empty() {
                few::pass(&sequence, &mut room.scores, found, normalisers);
            } else if let Some(registers) = &registers {
                let room = &mut room_of_matrices;
                // SAFETY: the processor has what is asked of one that has matrices.
                unsafe { matrices::forward(registers, sequence, room, &mut ahead, found, normalisers) };
            } else {
                forward::pass::<N, R>(sequence, &mut room, &mut ahead, found, normalisers);
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn backward_part<R: Registers>(
        &self,
        sequences: Range<usize>,
        ([found, of_found], normalisers): ([Rows<'_, N>; 2], Rows<'_>),
        (of_queries, of_others): (Part<'_, N>, Option<Part<'_, N>>),
        wants_bias: bool,
    ) -> Vec<f32> {
        let Plan { heads, width, from, .. } = self.plan;
        let mut of_bias =
            self.bias.filter(|_| wants_bias).map_or_else(Vec::new, |bias| vec![0.0; bias.numbers().len()]);
        let strides = [self.queries.width(), self.others.width()];
        let mut output = Output::new(self.plan, of_queries, of_others, strides);
        let registers = Matrices::of::<N>(*width);
        let high = if registers.is_some() { matrices::HIGH } else { HIGH };
        let (mut room, mut room_of_matrices) = (Backward::default(), matrices::Backward::default());
        for index in sequences.filter(|&it| !self.plan.skips(it)) {
            let queries = from.of(index);
            let known = Known {
                found: found.block(queries.start, queries.len(), 0, heads * width),
                of_found: of_found.block(queries.start, queries.len(), 0, heads * width),
                normalisers: normalisers.from(queries.start),
            };
            let mut ahead = self.ahead(index, [Some(found), Some(of_found)], high);
            output.go_on(index);
            let (sequence, ahead) = (self.sequence(index), &mut ahead);
            if let Some(registers) = &registers {
                let room = &mut room_of_matrices;
                // SAFETY: as above.
                unsafe { matrices::backward(registers, sequence, &known, room, ahead, &mut output, &mut of_bias) };
            } else {
                backward::pass::<N, R>(sequence, &known, &mut room, ahead, &mut output, &mut of_bias);
            }
        }
        output.end();
        of_bias
    }
}
