//! The distribution over what may come next: the one that is sampled, searched and learnt.
//!
//! Constrained, a choice at digit `i` is one of its values, or (at an item's first digit, after at least one item)
//! the end, which is the last choice. Unconstrained, a choice is any token of the vocabulary.

use crate::spelling::Spelling;
use crate::trie::Trie;
use crate::weights::T5Weights;
use prorl_sdk::prelude::*;

/// Output rows and rules of choosing.
pub struct Choices<'a> {
    pub spelling: &'a Spelling,
    pub trie: &'a Trie,
    pub constrained: bool,
    /// Output embedding, scaled. // [V, D]
    output: Tensor,
}

impl<'a> Choices<'a> {
    /// With the weights' output embedding, scaled by `D^-0.5` as tied T5 does.
    pub fn new(weights: &T5Weights, spelling: &'a Spelling, trie: &'a Trie, constrained: bool) -> Self {
        let width = weights.shared.size()[1] as f64;
        Self { spelling, trie, constrained, output: &weights.shared * width.powf(-0.5) }
    }

    /// How many choices there are at a digit.
    pub fn count(&self, digit: i64) -> i64 {
        match (self.constrained, digit) {
            (false, _) => self.spelling.vocabulary(),
            (true, 0) => self.spelling.codebook_size + 1,
            (true, _) => self.spelling.codebook_size,
        }
    }

    /// Logits of all tokens. // [N, D] to [N, V]
    pub fn full(&self, states: &Tensor) -> Tensor {
        states.linear::<Tensor>(&self.output, None)
    }

    /// Logits of the choices at a digit, nothing forbidden yet. // [N, D] to [N, C]
    pub fn raw(&self, states: &Tensor, digit: i64) -> Tensor {
        if !self.constrained {
            return self.full(states);
        }
        let codebook = self.spelling.codebook_size;
        let rows = self.output.narrow(0, digit * codebook + 1, codebook); // [C, D]
        if digit > 0 {
            return states.linear::<Tensor>(&rows, None);
        }
        let rows = Tensor::cat(&[&rows, &self.output.narrow(0, self.spelling.end, 1)], 0);
        states.linear::<Tensor>(&rows, None)
    }

    /// Logits of the choices at a digit; minus infinity where a choice leads to no item.
    ///
    /// `nodes` `[N]` are the prefixes' nodes; `may_stop` `[N]` or one for all says whether stopping is a choice.
    pub fn logits(&self, states: &Tensor, digit: i64, nodes: &Tensor, may_stop: &Tensor) -> Tensor {
        let raw = self.raw(states, digit);
        if !self.constrained {
            return raw;
        }
        let mut open = self.trie.allowed(nodes); // [N, C]
        if digit == 0 {
            let stop = may_stop.expand([nodes.size()[0]], false).unsqueeze(-1); // [N, 1]
            open = Tensor::cat(&[&open, &stop], 1);
        }
        raw.masked_fill(&open.logical_not(), f64::NEG_INFINITY)
    }

    /// Tokens of choices at a digit. // [N]
    pub fn tokens(&self, choices: &Tensor, digit: i64) -> Tensor {
        if !self.constrained {
            return choices.shallow_clone();
        }
        let tokens = choices + digit * self.spelling.codebook_size + 1;
        if digit > 0 { tokens } else { tokens.masked_fill(&self.is_end(choices, digit), self.spelling.end) }
    }

    /// Whether choices end a path. // [N] bool
    pub fn is_end(&self, choices: &Tensor, digit: i64) -> Tensor {
        match (self.constrained, digit) {
            (false, _) => choices.eq(self.spelling.end),
            (true, 0) => choices.eq(self.spelling.codebook_size),
            (true, _) => choices.lt(0),
        }
    }

    /// The choice that is the end.
    pub fn end(&self) -> i64 {
        if self.constrained { self.spelling.codebook_size } else { self.spelling.end }
    }

    /// Nodes after choices; ended rows stay at the empty prefix. // [N]
    pub fn advance(&self, nodes: &Tensor, choices: &Tensor, digit: i64) -> Tensor {
        if !self.constrained || digit + 1 == self.spelling.digits {
            return nodes.zeros_like();
        }
        self.trie.child(nodes, &choices.clamp_max(self.spelling.codebook_size - 1))
    }
}
