//! Beam search as Hugging Face 4.45.2 does it (peers, section 2.3), all prompts at once on the device.
//!
//! Beams are not moved about in the cache when they are reordered: every beam keeps a mask that says
//! which of its prompt's cached tokens are its own past. Tokens without an alternative wait and are read together with
//! the next ones, as in sampling.

use crate::encoder::Encoded;
use crate::head::{Head, MayStop};
use crate::hypotheses::Hypotheses;
use crate::layout::Layout;
use crate::policy::Call;
use crate::shared_past::SharedPast;
use crate::stepper::Stepper;
use crate::trie::ROOT;
use prorl_sdk::policy::Decoding;
use tch::{Kind, Tensor};

/// Finished prompts are taken out where at most this share goes on.
const WORTH_DROPPING: f64 = 0.75;
/// Beams read their waiting tokens alone, and once more with all others later, where at most this share has a choice.
const WORTH_WAITING: f64 = 0.4;

/// Tokens `[B, K, P * L]` and scores `[B, K]` of the best paths, best first.
///
/// Where fewer than `K` paths exist, the best stands in for the missing ones.
pub fn search(call: &Call<'_>, encoded: &Encoded, decoding: &Decoding) -> (Tensor, Tensor) {
    let longest = call.path * call.vocabulary.digits;
    let forced = decoding.forced_length * call.vocabulary.digits;
    let mut beams = Beams::new(call, encoded, decoding);
    for time in 0..if forced == 0 { longest } else { longest.min(forced + 1) } {
        let log_probs = beams.log_probs(time);
        if forced > 0 && time == forced {
            beams.force_stop(&log_probs, time);
            break;
        }
        beams.grow(&log_probs, time, forced == 0);
        let boundary = (time + 1) % call.vocabulary.digits == 1 || call.vocabulary.digits == 1;
        if boundary && time > 0 && forced == 0 && !beams.drop_finished() {
            break;
        }
    }
    beams.finish()
}

/// The search's state over the prompts still searched.
struct Beams<'a> {
    stepper: Stepper<'a>,
    past: SharedPast,
    head: Head<'a>,
    call: &'a Call<'a>,
    width: i64,
    length_penalty: f64,
    prompts: Tensor, // [b] numbers of the prompts still searched
    scores: Tensor,  // [b, 1 or K] log-probability so far, minus infinity for no beam
    tokens: Tensor,  // [b, 1 or K, P * L]
    nodes: Tensor,   // [b, 1 or K] in the trie
    said: i64,       // tokens so far
    found: Hypotheses,
    all: Hypotheses, // [B, ..] of prompts taken out
}

impl<'a> Beams<'a> {
    fn new(call: &'a Call<'a>, encoded: &Encoded, decoding: &Decoding) -> Self {
        let (prompts, width) = (encoded.layout.rows, decoding.group);
        let (device, longest) = (encoded.states.device(), call.path * call.vocabulary.digits);
        let integers = (Kind::Int64, device);
        let found = || Hypotheses::none(prompts, width, longest, decoding.early_stopping || width == 1, device);
        Self {
            stepper: Stepper::new(call.network, call.weights, encoded, call.tokens(decoding)),
            past: SharedPast::new(call, prompts, width, longest, device),
            head: call.head(),
            call,
            width,
            length_penalty: decoding.length_penalty,
            prompts: Tensor::arange(prompts, integers),
            scores: Tensor::zeros([prompts, 1], (Kind::Float, device)),
            tokens: Tensor::zeros([prompts, 1, longest], integers),
            nodes: Tensor::full([prompts, 1], ROOT, integers),
            said: 0,
            found: found(),
            all: found(),
        }
    }

    /// Log-probabilities of the next choices of every beam. // [b, 1 or K, choices]
    fn log_probs(&mut self, time: i64) -> Tensor {
        let Some(open) = self.open(time) else {
            let nodes = self.nodes.shallow_clone();
            let log_probs = self.log_probs_of(&self.waiting(time), &nodes, time, None);
            self.past.keep_read(time + 1);
            return log_probs;
        };
        let certain = self.certain(time);
        if open.size()[1] == 0 {
            return certain;
        }
        let of_beams = |whole: &Tensor| {
            let width = whole.size()[2];
            whole.gather(1, &open.unsqueeze(-1).expand([-1, -1, width], false), false)
        };
        let nodes = self.nodes.gather(1, &open, false);
        let log_probs = self.log_probs_of(&of_beams(&self.waiting(time)), &nodes, time, Some(&open));
        let index = open.unsqueeze(-1).expand_as(&log_probs);
        certain.scatter(1, &index, &log_probs)
    }

    /// Beams that have a choice, in every prompt as many as in the one that has most, where these are few enough to go
    /// ahead of the others. // [b, n]
    fn open(&self, time: i64) -> Option<Tensor> {
        let Head::Constrained { trie, .. } = &self.head else { return None };
        let open = trie.branches(&self.nodes).gt(1).to_kind(Kind::Int64); // [b, 1 or K]
        let most = open.sum_dim_intlist(-1, false, Kind::Int64).max().int64_value(&[]);
        (time > 0 && most as f64 <= WORTH_WAITING * self.width as f64).then(|| open.topk(most, -1, true, false).1)
    }

    /// Tokens that were not read yet, before the choice at `time`. // [b, 1 or K, n]
    fn waiting(&self, time: i64) -> Tensor {
        if time == 0 {
            return self.tokens.narrow(2, 0, 1); // the start token is 0
        }
        self.tokens.narrow(2, self.past.time - 1, time + 1 - self.past.time)
    }

    /// Log-probabilities after `tokens` `[b, n beams, tokens]` of all beams or those in `beams` `[b, n beams]`.
    /// // [b, n beams, choices]
    fn log_probs_of(&mut self, tokens: &Tensor, nodes: &Tensor, time: i64, beams: Option<&Tensor>) -> Tensor {
        let (prompts, width, new) = (tokens.size()[0], tokens.size()[1], tokens.size()[2]);
        self.past.begin(beams, width, new);
        let of_prompts = Layout::rectangle(prompts, width, tokens.device());
        let states = self.stepper.step(&tokens.reshape([-1, new]), &mut self.past, &of_prompts);
        let digit = time % self.call.vocabulary.digits;
        self.head.log_probs(&states, digit, Some(&nodes.view(-1)), &MayStop::at(time)).view([prompts, width, -1])
    }

    /// Log-probabilities as if every beam had but its first choice. // [b, K, choices]
    fn certain(&self, time: i64) -> Tensor {
        let choices = self.call.trie.choices(time % self.call.vocabulary.digits);
        let size = [self.nodes.size()[0], self.nodes.size()[1], choices];
        let nothing = self.scores.new_full(size, f64::NEG_INFINITY, (Kind::Float, self.scores.device()));
        nothing.scatter_value(2, &self.call.trie.first(&self.nodes).unsqueeze(-1), 0.0)
    }

    /// Keeps the `K` likeliest continuations; what stopped among the `K` likeliest becomes a hypothesis.
    fn grow(&mut self, log_probs: &Tensor, time: i64, may_stop: bool) {
        let digit = time % self.call.vocabulary.digits;
        let choices = log_probs.size()[2];
        let sums = self.scores.unsqueeze(-1) + log_probs; // [b, K, choices]
        let stop = self.head.stop(digit);
        if let (Some(stop), false) = (stop, may_stop) {
            let _ = sums.narrow(2, stop, 1).fill_(f64::NEG_INFINITY);
        }
        let stop = stop.filter(|_| may_stop);
        let wanted = if stop.is_some() { 2 * self.width } else { self.width };
        let (sums, places) = candidates(sums.flatten(1, 2), wanted); // [b, 2 K]
        let (mut parents, mut choice) = (places.divide_scalar_mode(choices, "floor"), places.remainder(choices));
        let mut scores = sums.shallow_clone();
        let said = self.said + 1;
        if let Some(stop) = stop {
            let stops = choice.eq(stop); // [b, 2 K]
            let (first, stopped) = (parents.narrow(1, 0, self.width), stops.narrow(1, 0, self.width));
            let ended = sums.narrow(1, 0, self.width).masked_fill(&stopped.logical_not(), f64::NEG_INFINITY);
            let tokens = self.of_parents(&self.tokens, &first);
            let _ = tokens.select(2, time).fill_(self.call.vocabulary.eos());
            self.found.add(&self.per_length(&ended, said), &tokens);
            let order = stops.to_kind(Kind::Int64) * (2 * self.width)
                + Tensor::arange(2 * self.width, (Kind::Int64, stops.device()));
            let order = order.topk(self.width, -1, false, true).1; // the K likeliest that go on, in order
            scores = sums.gather(1, &order, false);
            parents = parents.gather(1, &order, false);
            choice = choice.gather(1, &order, false);
        }
        self.found.close(&self.per_length(&sums.narrow(1, 0, 1), said));
        self.follow(scores, &parents, &choice, time);
    }

    fn follow(&mut self, scores: Tensor, parents: &Tensor, choice: &Tensor, time: i64) {
        let digit = time % self.call.vocabulary.digits;
        self.scores = scores;
        self.tokens = self.of_parents(&self.tokens, parents);
        self.tokens.select(2, time).copy_(&self.head.token(choice, digit));
        if let Head::Constrained { trie, .. } = &self.head {
            self.nodes = trie.advance(&self.nodes.gather(1, parents, false), choice, digit);
        } else {
            self.nodes = parents.shallow_clone();
        }
        self.past.reorder(parents);
        self.said += 1;
    }

    /// Ends every beam by a stop, whatever else it may prefer.
    fn force_stop(&mut self, log_probs: &Tensor, time: i64) {
        let Some(stop) = self.head.stop(time % self.call.vocabulary.digits) else { return };
        self.scores = &self.scores + log_probs.select(2, stop);
        let _ = self.tokens.select(2, time).fill_(self.call.vocabulary.eos());
        self.said += 1;
    }

    fn of_parents(&self, tokens: &Tensor, parents: &Tensor) -> Tensor {
        let (prompts, width, time) = (parents.size()[0], parents.size()[1], tokens.size()[2]);
        tokens.gather(1, &parents.unsqueeze(-1).expand([prompts, width, time], false), false)
    }

    fn per_length(&self, sums: &Tensor, length: i64) -> Tensor {
        sums / (length as f64).powf(self.length_penalty)
    }

    /// Takes finished prompts out where it pays; whether any goes on.
    fn drop_finished(&mut self) -> bool {
        let going = self.found.open().nonzero().squeeze_dim(-1);
        let (left, now) = (going.size()[0], self.prompts.size()[0]);
        if left > 0 && left as f64 <= WORTH_DROPPING * now as f64 {
            self.all.put(&self.prompts, &self.found);
            let chosen = |tensor: &Tensor| tensor.index_select(0, &going);
            self.prompts = chosen(&self.prompts);
            self.scores = chosen(&self.scores);
            self.tokens = chosen(&self.tokens);
            self.nodes = chosen(&self.nodes);
            self.found = self.found.of(&going);
            self.past.keep(&going);
            self.stepper.keep_prompts(&going);
        }
        left > 0
    }

    /// Open beams of unfinished prompts become hypotheses.
    fn finish(mut self) -> (Tensor, Tensor) {
        self.found.add(&self.per_length(&self.scores, self.said), &self.tokens);
        self.all.put(&self.prompts, &self.found);
        self.all.filled()
    }
}

/// The `wanted` largest sums, sorted, with their places; minus infinity where there are fewer. // [b, wanted]
fn candidates(sums: Tensor, wanted: i64) -> (Tensor, Tensor) {
    let missing = wanted - sums.size()[1];
    let sums = if missing > 0 { sums.pad([0, missing], "constant", f64::NEG_INFINITY) } else { sums };
    let width = sums.size()[1] - missing.max(0);
    let (values, places) = sums.topk(wanted, -1, true, true);
    (values, places.clamp_max(width - 1))
}
