//! The best complete paths of every prompt, Hugging Face's `BeamHypotheses` as tensors.

use tch::{Device, Kind, Tensor};

/// At most `K` hypotheses a prompt.
pub struct Hypotheses {
    scores: Tensor, // [B, K], minus infinity for none, best first
    tokens: Tensor, // [B, K, T]
    closed: Tensor, // [B] bool
    early_stopping: bool,
}

impl Hypotheses {
    /// No hypothesis yet.
    pub fn none(prompts: i64, width: i64, time: i64, early_stopping: bool, device: Device) -> Self {
        Self {
            scores: Tensor::full([prompts, width], f64::NEG_INFINITY, (Kind::Float, device)),
            tokens: Tensor::zeros([prompts, width, time], (Kind::Int64, device)),
            closed: Tensor::zeros([prompts], (Kind::Bool, device)),
            early_stopping,
        }
    }

    /// Adds paths with scores `[B, n]` (minus infinity for none) where open; the `K` best stay.
    pub fn add(&mut self, scores: &Tensor, tokens: &Tensor) {
        let width = self.scores.size()[1];
        let scores = scores.masked_fill(&self.closed.unsqueeze(-1), f64::NEG_INFINITY);
        let (best, order) = Tensor::cat(&[&self.scores, &scores], 1).topk(width, 1, true, true);
        let index = order.unsqueeze(-1).expand_as(&self.tokens);
        self.tokens = Tensor::cat(&[&self.tokens, tokens], 1).gather(1, &index, false);
        self.scores = best;
    }

    /// Closes prompts that have `K` hypotheses: at once when stopping early, else as soon as `attainable`
    /// `[B, 1]` is no better than the worst of them.
    pub fn close(&mut self, attainable: &Tensor) {
        let worst = self.scores.narrow(1, self.scores.size()[1] - 1, 1); // [B, 1]
        let full = worst.gt(f64::NEG_INFINITY);
        let done = if self.early_stopping { full } else { full.logical_and(&worst.ge_tensor(attainable)) };
        self.closed = self.closed.logical_or(&done.squeeze_dim(-1));
    }

    /// Prompts still searched. // [B] bool
    pub fn open(&self) -> Tensor {
        self.closed.logical_not()
    }

    /// Those of some prompts.
    pub fn of(&self, places: &Tensor) -> Self {
        Self {
            scores: self.scores.index_select(0, places),
            tokens: self.tokens.index_select(0, places),
            closed: self.closed.index_select(0, places),
            early_stopping: self.early_stopping,
        }
    }

    /// Takes over those of some prompts.
    pub fn put(&mut self, places: &Tensor, found: &Self) {
        let _ = self.scores.index_copy_(0, places, &found.scores);
        let _ = self.tokens.index_copy_(0, places, &found.tokens);
    }

    /// Tokens and scores, the best in place of missing ones.
    pub fn filled(&self) -> (Tensor, Tensor) {
        let (prompts, width) = (self.scores.size()[0], self.scores.size()[1]);
        let there = self.scores.gt(f64::NEG_INFINITY).to_kind(Kind::Int64);
        let index = Tensor::arange(width, (Kind::Int64, there.device())).expand([prompts, width], false) * there;
        let tokens = self.tokens.gather(1, &index.unsqueeze(-1).expand_as(&self.tokens), false);
        (tokens, self.scores.gather(1, &index, false))
    }
}
