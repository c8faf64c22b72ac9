//! Beam search as Transformers 4.45 does it, for all prompts at once.
//!
//! Of the `2K` best continuations an end counts if it is among the first `K`; the first `K` others go on. A
//! finished path scores its log-probability over its tokens (the end included) to the power of the length penalty.
//! With `early_stopping` a prompt is done once it has `K` finished paths, otherwise once no open one can be better.

use crate::choices::Choices;
use crate::sampling::Drawn;
use crate::steps::Steps;
use prorl_sdk::prelude::*;

struct Beams {
    /// Log-probabilities of the open paths. // [B, K]
    scores: Tensor,
    /// Their tokens. // [B, K, T]
    tokens: Tensor,
    /// Their prefixes of the item being spelt. // [B · K]
    nodes: Tensor,
    /// Scores of finished paths, minus infinity for none. // [B, K]
    finished: Tensor,
    /// Their tokens. // [B, K, T]
    finished_tokens: Tensor,
    /// Prompts that need no further search. // [B]
    done: Tensor,
}

/// The `decoding.group` best paths of at most `path` items for each of `prompts` prompts, best first.
pub fn search(choices: &Choices<'_>, mut steps: Steps<'_>, prompts: i64, path: i64, decoding: &Decoding) -> Drawn {
    let (digits, beams, device) = (choices.spelling.digits, decoding.group, choices.trie.device());
    let forced = decoding.forced_length;
    let limit = if forced > 0 && forced < path { forced * digits + 1 } else { path * digits };
    let mut state = Beams::new(prompts, beams, path * digits + 1, device);
    let mut token = Tensor::zeros([prompts * beams], (Kind::Int64, device));
    for position in 0..limit {
        let (item, digit) = (position / digits, position % digits);
        let may_stop = Tensor::from(item > 0 && (forced == 0 || item == forced)).to_device(device);
        let mut logits = choices.logits(&steps.read(&token), digit, &state.nodes, &may_stop); // [B · K, C]
        if forced > 0 {
            logits = crate::sampling::force(choices, logits, digit, item == forced && forced < path);
        }
        let (rows, next) = state.step(choices, &logits, digit, position, decoding);
        token = next;
        let boundary = digit + 1 == digits || digit == 0 || !choices.constrained;
        if boundary && position > 0 && state.done.all().int64_value(&[]) != 0 {
            break;
        }
        steps.select(&rows, beams);
    }
    state.finish(limit, decoding.length_penalty)
}

impl Beams {
    fn new(prompts: i64, beams: i64, longest: i64, device: Device) -> Self {
        let scores = Tensor::full([prompts, beams], -1e9, (Kind::Float, device));
        let _ = scores.select(1, 0).zero_();
        let tokens = Tensor::zeros([prompts, beams, longest], (Kind::Int64, device));
        Self {
            finished: scores.full_like(f64::NEG_INFINITY),
            finished_tokens: tokens.zeros_like(),
            nodes: Tensor::zeros([prompts * beams], (Kind::Int64, device)),
            done: Tensor::zeros([prompts], (Kind::Bool, device)),
            scores,
            tokens,
        }
    }

    /// One token further; gives the rows that go on and the tokens they read next.
    fn step(
        &mut self,
        choices: &Choices<'_>,
        logits: &Tensor,
        digit: i64,
        position: i64,
        decoding: &Decoding,
    ) -> (Tensor, Tensor) {
        let (prompts, beams, width) = (self.scores.size()[0], self.scores.size()[1], logits.size()[1]);
        let sums = logits.log_softmax(-1, Kind::Float).view([prompts, beams, width]) + self.scores.unsqueeze(-1);
        let candidates = (2 * beams).min(beams * width);
        let (sums, flat) = sums.view([prompts, -1]).topk(candidates, -1, true, true); // [B, 2K]
        let from = flat.floor_divide_scalar(width); // [B, 2K]
        let chosen = flat.remainder(width);
        let ends = choices.is_end(&chosen, digit); // [B, 2K]
        if digit == 0 || !choices.constrained {
            let penalty = ((position + 1) as f64).powf(decoding.length_penalty);
            self.store(choices, &sums, &from, &ends, position, penalty);
            self.settle(&sums, penalty, decoding.early_stopping);
        }
        let (scores, order) = sums.masked_fill(&ends, f64::NEG_INFINITY).topk(beams, -1, true, true); // [B, K]
        let (from, chosen) = (from.gather(1, &order, false), chosen.gather(1, &order, false));
        // A prompt with fewer than K ways on keeps hopeless beams; they may be ends, which then stay ended.
        self.scores = scores;
        self.tokens = pick(&self.tokens, &from);
        let chosen = chosen.flatten(0, -1); // [B · K]
        let token = choices.tokens(&chosen, digit);
        self.tokens.select(2, position).copy_(&token.view([prompts, beams]));
        let first = (Tensor::arange(prompts, (Kind::Int64, from.device())) * beams).unsqueeze(-1);
        let rows = (from + first).flatten(0, -1);
        self.nodes = choices.advance(&self.nodes.index_select(0, &rows), &chosen, digit);
        (rows, token)
    }

    /// Keeps the `K` best finished paths of the old and of those that end now.
    fn store(
        &mut self,
        choices: &Choices<'_>,
        sums: &Tensor,
        from: &Tensor,
        ends: &Tensor,
        position: i64,
        penalty: f64,
    ) {
        let beams = self.scores.size()[1];
        let (sums, from, ends) = (sums.narrow(1, 0, beams), from.narrow(1, 0, beams), ends.narrow(1, 0, beams));
        let counts = ends.logical_and(&self.done.logical_not().unsqueeze(-1)); // [B, K]
        let scores = (sums / penalty).masked_fill(&counts.logical_not(), f64::NEG_INFINITY);
        let tokens = pick(&self.tokens, &from); // [B, K, T]
        let _ = tokens.select(2, position).fill_(choices.spelling.end);
        let (best, order) = Tensor::cat(&[&self.finished, &scores], 1).topk(beams, -1, true, true);
        self.finished_tokens = pick(&Tensor::cat(&[&self.finished_tokens, &tokens], 1), &order);
        self.finished = best;
    }

    fn settle(&mut self, sums: &Tensor, penalty: f64, early: bool) {
        let worst = self.finished.amin([1i64], false); // [B]
        let full = worst.isfinite();
        let settled =
            if early { full } else { full.logical_and(&worst.ge_tensor(&(sums.amax([1i64], false) / penalty))) };
        self.done = self.done.logical_or(&settled);
    }

    /// The best of the finished paths and, for prompts that are not done, of the open ones.
    fn finish(self, position: i64, length_penalty: f64) -> Drawn {
        let beams = self.scores.size()[1];
        let open = (&self.scores / (position as f64).powf(length_penalty))
            .masked_fill(&self.done.unsqueeze(-1), f64::NEG_INFINITY)
            .masked_fill(&self.scores.lt(-1e8), f64::NEG_INFINITY);
        let (score, order) = Tensor::cat(&[&self.finished, &open], 1).topk(beams, -1, true, true); // [B, K]
        let order_of_best = order.narrow(1, 0, 1).expand_as(&order);
        // Where there are fewer than K paths at all, the best one stands in for the rest.
        let order = order_of_best.where_self(&score.isfinite().logical_not(), &order);
        let score = score.narrow(1, 0, 1).expand_as(&score).where_self(&score.isfinite().logical_not(), &score);
        let tokens = pick(&Tensor::cat(&[&self.finished_tokens, &self.tokens], 1), &order);
        Drawn { tokens, score }
    }
}

/// Rows of `[B, N, T]` by index `[B, K]`. // [B, K, T]
fn pick(rows: &Tensor, index: &Tensor) -> Tensor {
    let size = [index.size()[0], index.size()[1], rows.size()[2]];
    rows.gather(1, &index.unsqueeze(-1).expand(size, false), false)
}
