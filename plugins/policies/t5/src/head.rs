//! From decoder states to choices: products with those rows of the tied embedding that can be chosen.

use crate::tokens::Vocabulary;
use crate::trie::Trie;
use crate::weights::Weights;
use tch::{Kind, Tensor};

/// The output product, for one call. The last norm's weight and the scale `D^-0.5` are part of it.
pub enum Head<'a> {
    /// Every token at every position.
    Full {
        rows: Tensor, // [V, D]
        vocabulary: &'a Vocabulary,
    },
    /// A digit's entries only, at its first digit also the stop, and of these only what some item allows.
    Constrained {
        rows: Vec<Tensor>, // L times [choices, D]
        vocabulary: &'a Vocabulary,
        trie: &'a Trie,
    },
}

fn scaled(rows: &Tensor, weights: &Weights) -> Tensor {
    let norm = &weights.decoder.final_norm;
    rows * (norm * (norm.size()[0] as f64).powf(-0.5))
}

/// Sets the logits of what is not allowed at a digit to minus infinity. // [N, choices]
fn forbid(logits: &Tensor, trie: &Trie, digit: i64, nodes: Option<&Tensor>, may_stop: &MayStop<'_>) {
    let mut logits = logits.shallow_clone();
    if let Some(nodes) = nodes {
        let _ = logits.masked_fill_(&trie.forbidden(nodes, digit), f64::NEG_INFINITY);
    }
    if digit > 0 {
        return;
    }
    let mut stop = logits.select(1, trie.choices(0) - 1); // [N]
    let _ = match may_stop {
        MayStop::Yes => stop,
        MayStop::No => stop.fill_(f64::NEG_INFINITY),
        MayStop::Where(rows) => stop.masked_fill_(&rows.logical_not(), f64::NEG_INFINITY),
    };
}

impl<'a> Head<'a> {
    /// The product with the full vocabulary.
    pub fn full(weights: &Weights, vocabulary: &'a Vocabulary) -> Self {
        Self::Full { rows: scaled(&weights.shared, weights), vocabulary }
    }

    /// The products with each digit's entries.
    pub fn constrained(weights: &Weights, vocabulary: &'a Vocabulary, trie: &'a Trie) -> Self {
        let rows = (0..vocabulary.digits).map(|digit| {
            let entries = weights.shared.narrow(0, vocabulary.first(digit), vocabulary.codebook);
            let stop = weights.shared.narrow(0, vocabulary.eos(), 1);
            scaled(&if digit == 0 { Tensor::cat(&[entries, stop], 0) } else { entries }, weights)
        });
        Self::Constrained { rows: rows.collect(), vocabulary, trie }
    }

    /// Log-probabilities of the choices at a digit, minus infinity where not allowed. // [N, choices]
    pub fn log_probs(&self, states: &Tensor, digit: i64, nodes: Option<&Tensor>, may_stop: &MayStop<'_>) -> Tensor {
        match self {
            Self::Full { rows, .. } => states.linear(rows, None::<&Tensor>).log_softmax(-1, None::<Kind>),
            Self::Constrained { rows, trie, .. } => {
                let logits = states.linear(&rows[digit as usize], None::<&Tensor>);
                // Choices of probability 0 have no gradient, so that nothing of this is needed backwards.
                tch::no_grad(|| forbid(&logits, trie, digit, nodes, may_stop));
                logits.log_softmax(-1, None::<Kind>)
            }
        }
    }

    /// The same before an item's first digit, where every path is at the root. // [N, choices]
    pub fn log_probs_at_root(&self, states: &Tensor, may_stop: &MayStop<'_>) -> Tensor {
        let root = Tensor::full([1], crate::trie::ROOT, (Kind::Int64, states.device()));
        self.log_probs(states, 0, Some(&root), may_stop)
    }

    /// Full logits, for inspection. // [N, V]
    pub fn logits(weights: &Weights, states: &Tensor) -> Tensor {
        states.linear(&scaled(&weights.shared, weights), None::<&Tensor>)
    }

    /// The most choices there are at any digit, `C`.
    pub fn most_choices(&self) -> i64 {
        match self {
            Self::Full { vocabulary, .. } => vocabulary.size(),
            Self::Constrained { trie, .. } => trie.choices(0),
        }
    }

    /// Column of the stop at a digit, if it can be chosen there.
    pub fn stop(&self, digit: i64) -> Option<i64> {
        match self {
            Self::Full { vocabulary, .. } => Some(vocabulary.eos()),
            Self::Constrained { vocabulary, .. } => (digit == 0).then_some(vocabulary.codebook),
        }
    }

    /// Tokens of choices at a digit.
    pub fn token(&self, choice: &Tensor, digit: i64) -> Tensor {
        match self {
            Self::Full { .. } => choice.shallow_clone(),
            Self::Constrained { vocabulary, .. } => {
                let token = choice + vocabulary.first(digit);
                if digit > 0 { token } else { token.masked_fill(&choice.eq(vocabulary.codebook), vocabulary.eos()) }
            }
        }
    }

    /// Choices of tokens at a digit.
    pub fn choice(&self, token: &Tensor, digit: i64) -> Tensor {
        match self {
            Self::Full { .. } => token.shallow_clone(),
            Self::Constrained { vocabulary, .. } => {
                let choice = token - vocabulary.first(digit);
                if digit > 0 { choice } else { choice.masked_fill(&token.eq(vocabulary.eos()), vocabulary.codebook) }
            }
        }
    }
}

/// Where a path may stop; a constrained path holds an item first.
pub enum MayStop<'a> {
    Yes,
    No,
    /// One boolean a row.
    Where(&'a Tensor),
}

impl MayStop<'static> {
    /// In a path that is `time` tokens long: not before its first item.
    pub fn at(time: i64) -> Self {
        if time == 0 { Self::No } else { Self::Yes }
    }
}
