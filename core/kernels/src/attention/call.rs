//! A call: checked, computed, and given its place in libtorch's graph.

use super::whole::{Found, Gradients, Plan, Whole};
use super::{Attention, Spans, serves};
use crate::dropping::Dropping;
use crate::node::attach;
use crate::tiles::WIDE;
use std::ops::Range;
use tch::Tensor;

impl Attention<'_> {
    /// The first of `columns` is that of queries in their rows, the others are those of keys and values in `others`.
    pub(crate) fn run(
        &self,
        [queries, others]: [&Tensor; 2],
        columns: [i64; 3],
        [from, to]: [&Spans; 2],
        places: Option<&[usize]>,
    ) -> Tensor {
        let inner = columns[2] - columns[1];
        let width = inner / self.heads;
        assert!(serves(queries.device(), width), "`serves` says no to {queries:?} of {} heads", self.heads);
        assert_eq!([queries.kind(), others.kind()], [self.factors.kind(); 2], "kinds of factors");
        assert_eq!(queries.size()[0] as usize, from.rows(), "rows of queries, and of their sequences");
        assert_eq!(others.size()[0] as usize, to.rows(), "rows of keys, and of their sequences");
        assert_eq!(from.len(), to.len(), "sequences of queries and of keys");
        if let Some(places) = places {
            let ascend = |span: Range<usize>| places[span].windows(2).all(|pair| pair[0] < pair[1]);
            assert!(places.len() == from.rows() && (0..from.len()).all(|it| ascend(from.of(it))), "places ascend");
        }
        let bias = self.bias.map(|bias| self.padded(bias, [from, to], places));
        let joined = std::ptr::eq(queries, others);
        let plan = Plan {
            from: from.clone(),
            to: to.clone(),
            heads: self.heads as usize,
            width: width as usize,
            columns: columns.map(|column| column as usize),
            joined,
            causal: self.causal,
            factors: self.factors,
            places: places.map(<[usize]>::to_vec),
            dropping: Dropping::new(self.dropout),
        };
        let whole = Whole { plan, queries: queries.shallow_clone(), others: others.shallow_clone(), bias };
        let Found { found, normalisers } = whole.forward();
        let known = Found { found: found.detach(), normalisers };
        let mut inputs = vec![queries];
        inputs.extend((!joined).then_some(others));
        inputs.extend(self.bias);
        let bias = self.bias.map(|bias| (bias.size(), bias.requires_grad()));
        attach(&found, &inputs, move |of_found| {
            let wants_bias = bias.as_ref().is_some_and(|(_, wanted)| *wanted);
            let Gradients { of_queries, of_others, of_bias } =
                whole.backward(&known, &of_found.contiguous(), wants_bias);
            let mut gradients = vec![Some(of_queries)];
            gradients.extend((!joined).then_some(of_others));
            gradients.extend(bias.as_ref().map(|(size, _)| of_bias.map(|of_bias| unpadded(&of_bias, size))));
            gradients
        });
        found
    }

    /// A bias with room for whole tiles. // [heads * T, step]
    fn padded(&self, bias: &Tensor, [from, to]: [&Spans; 2], places: Option<&[usize]>) -> Tensor {
        let [heads, queries, keys] = bias.size()[..] else { panic!("a bias is [heads, T, T'], not {:?}", bias.size()) };
        let furthest = to.longest() as i64;
        let most = places.map_or(from.longest(), |places| places.iter().max().map_or(0, |place| place + 1)) as i64;
        assert!(heads == self.heads && queries >= most && keys >= furthest, "a bias of {:?}, too small", bias.size());
        let step = (keys as usize).next_multiple_of(WIDE) as i64;
        bias.detach().constant_pad_nd([0, step - keys]).contiguous().view([heads * queries, step])
    }
}

/// A padded bias's gradient as the bias is. // [heads, T, T']
fn unpadded(padded: &Tensor, size: &[i64]) -> Tensor {
    padded.view([size[0], size[1], -1]).narrow(2, 0, size[2])
}
