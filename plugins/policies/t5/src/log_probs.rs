//! Log-probabilities of given paths under the distribution that sampling draws from; differentiable.

use crate::choices::Choices;
use crate::decoder::{Layout, decode};
use crate::encoder::Encoded;
use crate::layers::Shape;
use crate::weights::T5Weights;
use prorl_sdk::prelude::*;

/// Given paths, token by token.
pub struct Given {
    /// Tokens read: 0, then all but the last. // [B, G, T]
    pub inputs: Tensor,
    /// Tokens chosen. // [B, G, T]
    pub tokens: Tensor,
    /// Prefix before each token. // [B, G, T]
    nodes: Tensor,
    /// Which places exist.
    pub layout: Layout,
}

impl Given {
    /// Tokens `[B, G, ≥ T]` with 0 after each path's end; `nodes` `[B, G, ≥ T]` where choices are constrained.
    pub fn new(tokens: &Tensor, nodes: Option<&Tensor>, counts: &Tensor) -> Self {
        let longest = counts.max().int64_value(&[]).max(1);
        let tokens = tokens.narrow(2, 0, longest);
        let places = Tensor::arange(longest, (Kind::Int64, tokens.device())); // [T]
        let kept = places.lt_tensor(&counts.unsqueeze(-1)); // [B, G, T]
        let start = tokens.narrow(2, 0, 1).zeros_like();
        Self {
            inputs: Tensor::cat(&[&start, &tokens.narrow(2, 0, longest - 1)], 2),
            nodes: nodes.map_or_else(|| tokens.zeros_like(), |nodes| nodes.narrow(2, 0, longest)),
            layout: Layout::new(&kept),
            tokens,
        }
    }
}

/// What is known of every packed token of one digit.
struct DigitRows {
    places: Tensor,   // [N_d] in [B · G · T]
    states: Tensor,   // [N_d, D]
    chosen: Tensor,   // [N_d] choice
    nodes: Tensor,    // [N_d]
    may_stop: Tensor, // [N_d]
}

/// Log-probabilities of the paths' actions; `path` is the most items.
pub fn log_probs(
    weights: &T5Weights,
    shape: &Shape,
    choices: &Choices<'_>,
    encoded: &Encoded,
    given: &Given,
    path: i64,
    query: &Query,
) -> ActionLogProbs {
    let digits = choices.spelling.digits;
    let size = given.tokens.size(); // [B, G, T]
    let states = decode(weights, shape, encoded, &given.inputs, &given.layout); // [N, D]
    let mut parts = Parts::default();
    for digit in 0..digits {
        let rows = DigitRows::new(choices, given, &states, digit);
        parts.add(choices, &rows, digit, query);
    }
    let lay = |packed: &[Tensor], empty: f64| laid_out(packed, &parts.places, &size, path, digits, empty);
    ActionLogProbs {
        digits: lay(&parts.log_probs, 0.0),
        entropy: query.entropy.then(|| lay(&parts.entropy, 0.0)),
        distribution: query.distribution.then(|| lay(&parts.distribution, f64::NEG_INFINITY)),
        hidden: query.hidden.then(|| lay(&parts.hidden, 0.0).select(3, 0)),
    }
}

#[derive(Default)]
struct Parts {
    places: Vec<Tensor>,
    log_probs: Vec<Tensor>,
    entropy: Vec<Tensor>,
    distribution: Vec<Tensor>,
    hidden: Vec<Tensor>,
}

impl Parts {
    fn add(&mut self, choices: &Choices<'_>, rows: &DigitRows, digit: i64, query: &Query) {
        let logits = choices.logits(&rows.states, digit, &rows.nodes, &rows.may_stop); // [N_d, C]
        let chosen = logits.gather(1, &rows.chosen.unsqueeze(-1), false).squeeze_dim(-1); // [N_d]
        self.places.push(rows.places.shallow_clone());
        if query.entropy || query.distribution {
            let all = logits.log_softmax(-1, Kind::Float);
            self.log_probs.push(all.gather(1, &rows.chosen.unsqueeze(-1), false).squeeze_dim(-1));
            if query.entropy {
                let finite = all.masked_fill(&all.isinf(), 0.0);
                self.entropy.push(-(all.exp() * finite).sum_dim_intlist(-1, false, Kind::Float));
            }
            if query.distribution {
                let missing = choices.count(0) - all.size()[1];
                let padded = Tensor::full([all.size()[0], missing], f64::NEG_INFINITY, (Kind::Float, all.device()));
                self.distribution.push(Tensor::cat(&[all, padded], 1));
            }
        } else {
            self.log_probs.push(chosen - logits.logsumexp([1i64], false));
        }
        if query.hidden {
            self.hidden.push(rows.states.shallow_clone());
        }
    }
}

impl DigitRows {
    fn new(choices: &Choices<'_>, given: &Given, states: &Tensor, digit: i64) -> Self {
        let (digits, length) = (choices.spelling.digits, given.tokens.size()[2]);
        let count = given.tokens.numel() as i64;
        let all = Tensor::arange(count, (Kind::Int64, states.device())); // [B · G · T]
        let places = given.layout.pack(&all); // [N]
        let position = places.remainder(length);
        let mine = position.remainder(digits).eq(digit).nonzero().squeeze_dim(-1); // [N_d]
        let (places, position) = (places.index_select(0, &mine), position.index_select(0, &mine));
        let token = given.tokens.flatten(0, -1).index_select(0, &places);
        let chosen = if choices.constrained {
            let value = &token - (digit * choices.spelling.codebook_size + 1);
            value.masked_fill(&token.eq(choices.spelling.end), choices.end())
        } else {
            token
        };
        Self {
            states: states.index_select(0, &mine),
            nodes: given.nodes.flatten(0, -1).index_select(0, &places),
            may_stop: position.ge(digits),
            chosen,
            places,
        }
    }
}

/// From packed tokens to actions and digits. // [N, ...] to [B, G, P + 1, L, ...]
fn laid_out(packed: &[Tensor], places: &[Tensor], size: &[i64], path: i64, digits: i64, empty: f64) -> Tensor {
    let (packed, places) = (Tensor::cat(packed, 0), Tensor::cat(places, 0));
    let width = &packed.size()[1..];
    let full = (path + 1) * digits;
    // Rows are longer in the result than in the given tokens: a place moves along with its row.
    let row = places.floor_divide_scalar(size[2]);
    let places = &row * full + (places - &row * size[2]);
    let mut shape = vec![size[0] * size[1] * full];
    shape.extend(width);
    let flat = Tensor::full(&shape[..], empty, (Kind::Float, packed.device())).index_copy(0, &places, &packed);
    let mut shape = vec![size[0], size[1], path + 1, digits];
    shape.extend(width);
    flat.view(&shape[..])
}
