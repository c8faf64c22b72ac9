//! Ancestral sampling of a group of paths for every prompt.

use crate::choices::Choices;
use crate::steps::Steps;
use prorl_sdk::prelude::*;

/// Rows are repacked at an item's begin if at most this share of them goes on.
const REPACK_BELOW: f64 = 0.75;

/// Drawn tokens `[B, G, T]`, 0 after the end, and the log-probability of every path `[B, G]`.
pub struct Drawn {
    pub tokens: Tensor,
    pub score: Tensor,
}

struct Rows {
    /// Rows for every prompt.
    group: i64,
    /// Row in the result. // [rows]
    origin: Tensor,
    /// Prefix of the item being spelt. // [rows]
    nodes: Tensor,
    /// Whether the path has ended. // [rows]
    ended: Tensor,
    /// Last token. // [rows]
    token: Tensor,
}

/// Draws `decoding.group` paths of at most `path` items for each of `prompts` prompts.
pub fn sample(choices: &Choices<'_>, mut steps: Steps<'_>, prompts: i64, path: i64, decoding: &Decoding) -> Drawn {
    let (digits, group, device) = (choices.spelling.digits, decoding.group, choices.trie.device());
    let count = prompts * group;
    let tokens = Tensor::zeros([count, path * digits + 1], (Kind::Int64, device));
    let mut score = Tensor::zeros([count], (Kind::Float, device));
    let mut rows = Rows {
        group,
        origin: Tensor::arange(count, (Kind::Int64, device)),
        nodes: Tensor::zeros([count], (Kind::Int64, device)),
        ended: Tensor::zeros([count], (Kind::Bool, device)),
        token: Tensor::zeros([count], (Kind::Int64, device)),
    };
    let forced = decoding.forced_length;
    let limit = if forced > 0 && forced < path { forced * digits + 1 } else { path * digits };
    for position in 0..limit {
        let (item, digit) = (position / digits, position % digits);
        if digit == 0 && item > 0 && !rows.repack(&mut steps, prompts) {
            break;
        }
        let states = steps.read(&rows.token); // [rows, D]
        let may_stop = item > 0 && (forced == 0 || item == forced);
        let may_stop = Tensor::from(may_stop).to_device(device);
        let mut logits = choices.logits(&states, digit, &rows.nodes, &may_stop); // [rows, C]
        if forced > 0 {
            logits = force(choices, logits, digit, item == forced && forced < path);
        }
        let chosen = draw(&logits, decoding); // [rows]
        let log_prob = logits.gather(1, &chosen.unsqueeze(-1), false).squeeze_dim(-1) - logits.logsumexp([1i64], false);
        let going = rows.ended.logical_not();
        score =
            score.index_add(0, &rows.origin, &(log_prob * going.to_kind(Kind::Float)).masked_fill(&rows.ended, 0.0));
        rows.token = choices.tokens(&chosen, digit) * going.to_kind(Kind::Int64);
        let _ = tokens.select(1, position).index_copy_(0, &rows.origin, &rows.token);
        rows.nodes = choices.advance(&rows.nodes, &chosen, digit);
        rows.ended = rows.ended.logical_or(&choices.is_end(&chosen, digit));
    }
    Drawn { tokens: tokens.view([prompts, group, -1]), score: score.view([prompts, group]) }
}

/// Forbids the end, or everything else.
pub fn force(choices: &Choices<'_>, logits: Tensor, digit: i64, end: bool) -> Tensor {
    if choices.constrained && digit > 0 {
        return logits;
    }
    let is_end = Tensor::arange(logits.size()[1], (Kind::Int64, logits.device())).eq(choices.end());
    let forbidden = if end { is_end.logical_not() } else { is_end };
    logits.masked_fill(&forbidden, f64::NEG_INFINITY)
}

/// One choice a row. // [rows, C] to [rows]
fn draw(logits: &Tensor, decoding: &Decoding) -> Tensor {
    let tempered = if decoding.temperature == 1.0 { logits.shallow_clone() } else { logits / decoding.temperature };
    let kept = keep_likeliest(&keep_top(&tempered, decoding.top_k), decoding.top_p);
    // The largest of p / e with e exponential is distributed as p: no sorting, no loop.
    let noise = kept.empty_like().exponential(1.0);
    (kept.softmax(-1, Kind::Float) / noise).argmax(-1, false)
}

fn keep_top(logits: &Tensor, top_k: i64) -> Tensor {
    if top_k <= 0 || top_k >= logits.size()[1] {
        return logits.shallow_clone();
    }
    let (best, _) = logits.topk(top_k, -1, true, true);
    let least = best.narrow(1, top_k - 1, 1); // ties of the last one stay, as in Transformers
    logits.masked_fill(&logits.lt_tensor(&least), f64::NEG_INFINITY)
}

fn keep_likeliest(logits: &Tensor, top_p: f64) -> Tensor {
    if top_p >= 1.0 {
        return logits.shallow_clone();
    }
    let (sorted, order) = logits.sort(-1, true);
    let before = sorted.softmax(-1, Kind::Float).cumsum(-1, Kind::Float) - sorted.softmax(-1, Kind::Float);
    let dropped = before.ge(top_p); // the likeliest stays always
    let dropped = dropped.scatter(1, &order, &dropped);
    logits.masked_fill(&dropped, f64::NEG_INFINITY)
}

impl Rows {
    /// Goes on with the paths that have not ended, if that saves enough; false if none goes on.
    fn repack(&mut self, steps: &mut Steps<'_>, prompts: i64) -> bool {
        let ended = self.ended.view([prompts, self.group]); // [B, G]
        let going = ended.logical_not().sum_dim_intlist(-1, false, Kind::Int64);
        let most = going.max().int64_value(&[]);
        if most == 0 {
            return false;
        }
        if most as f64 > REPACK_BELOW * self.group as f64 {
            return true;
        }
        let order = ended.to_kind(Kind::Int64).argsort_stable(true, -1, false).narrow(1, 0, most); // [B, most]
        let first = (Tensor::arange(prompts, (Kind::Int64, order.device())) * self.group).unsqueeze(-1);
        let rows = (order + first).flatten(0, -1); // [B · most]
        steps.select(&rows, most);
        self.group = most;
        for field in [&mut self.origin, &mut self.nodes, &mut self.ended, &mut self.token] {
            *field = field.index_select(0, &rows);
        }
        true
    }
}
