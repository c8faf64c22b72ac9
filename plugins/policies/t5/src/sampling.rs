//! Ancestral sampling: one draw a token, finished paths taken out of the batch as they end.
//!
//! Where the trie leaves a path one choice, nothing has to be computed to make it: its token waits, and is read together
//! with the next ones, once there is something to choose.

use crate::encoder::Encoded;
use crate::filters::{draw, probabilities};
use crate::head::{Head, MayStop};
use crate::layout::Layout;
use crate::own_past::OwnPast;
use crate::policy::Call;
use crate::stepper::Stepper;
use crate::trie::{ROOT, SINK, Trie};
use prorl_sdk::policy::Decoding;
use tch::{Kind, Tensor};

/// Finished paths are taken out where at most this share of the rows goes on.
const WORTH_DROPPING: f64 = 0.8;
/// Paths read their waiting tokens alone, and once more with all others later, where at most this share has a choice.
const WORTH_WAITING: f64 = 0.25;

/// Tokens `[B, G, P * L]` and the log-probabilities of their paths `[B, G]`.
pub fn sample(call: &Call<'_>, encoded: &Encoded, decoding: &Decoding) -> (Tensor, Tensor) {
    let mut drawing = Drawing::new(call, encoded, decoding);
    let (digits, longest) = (call.vocabulary.digits, call.path * call.vocabulary.digits);
    let forced = decoding.forced_length * digits;
    let steps = if forced == 0 { longest } else { longest.min(forced + 1) };
    for time in 0..steps {
        let stop = drawing.head.stop(time % digits);
        drawing.step(time, |log_probs| match stop {
            Some(stop) if forced > 0 && time == forced => log_probs.new_full_choice(stop),
            Some(stop) if forced > 0 => {
                let allowed = log_probs.copy();
                let _ = allowed.narrow(1, stop, 1).fill_(f64::NEG_INFINITY);
                draw(&probabilities(&allowed, decoding))
            }
            _ => draw(&probabilities(log_probs, decoding)),
        });
        if forced == 0 && drawing.boundary(time) && !drawing.drop_finished() {
            break;
        }
    }
    let (prompts, group) = (encoded.layout.rows, decoding.group);
    (drawing.tokens.view([prompts, group, longest]), drawing.score.view([prompts, group]))
}

trait FullChoice {
    fn new_full_choice(&self, choice: i64) -> Tensor;
}

impl FullChoice for Tensor {
    /// The same choice in every row. // [N]
    fn new_full_choice(&self, choice: i64) -> Tensor {
        Tensor::full([self.size()[0]], choice, (Kind::Int64, self.device()))
    }
}

/// The batch while it is drawn. `rows` are the paths still in it.
struct Drawing<'a> {
    stepper: Stepper<'a>,
    past: OwnPast,
    of_prompts: Layout, // rows of each prompt
    head: Head<'a>,
    trie: &'a Trie,
    digits: i64,
    group: i64,
    tokens: Tensor, // [B * G, P * L]
    score: Tensor,  // [B * G]
    rows: Tensor,   // [rows] paths' numbers
    node: Tensor,   // [rows] in the trie; the sink once finished
}

impl<'a> Drawing<'a> {
    fn new(call: &Call<'a>, encoded: &Encoded, decoding: &Decoding) -> Self {
        let (prompts, longest) = (encoded.layout.rows, call.path * call.vocabulary.digits);
        let paths = prompts * decoding.group;
        let device = encoded.states.device();
        let integers = (Kind::Int64, device);
        Self {
            stepper: Stepper::new(call.network, call.weights, encoded, call.tokens(decoding)),
            past: OwnPast::new(call, prompts, decoding.group, longest, device),
            of_prompts: Layout::rectangle(prompts, decoding.group, device),
            head: call.head(),
            trie: call.trie,
            digits: call.vocabulary.digits,
            group: decoding.group,
            tokens: Tensor::zeros([paths, longest], integers),
            score: Tensor::zeros([paths], (Kind::Float, device)),
            rows: Tensor::arange(paths, integers),
            node: Tensor::full([paths], ROOT, integers),
        }
    }

    /// Chooses the next token of every path by `choose`, which gets log-probabilities `[n, choices]`.
    fn step(&mut self, time: i64, choose: impl Fn(&Tensor) -> Tensor) {
        let chosen =
            |log_probs: &Tensor, choice: &Tensor| log_probs.gather(1, &choice.unsqueeze(-1), false).squeeze_dim(-1);
        let Some(open) = self.open(time) else {
            let log_probs = self.log_probs(time);
            let choice = choose(&log_probs);
            return self.take(time, &chosen(&log_probs, &choice), &choice);
        };
        // A choice without an alternative has log-probability 0.
        let choice = self.trie.first(&self.node);
        let gained = Tensor::zeros([choice.size()[0]], (Kind::Float, choice.device()));
        if open.size()[0] > 0 {
            let log_probs = self.log_probs_of(&open, time);
            let drawn = choose(&log_probs);
            let _ = gained.shallow_clone().index_copy_(0, &open, &chosen(&log_probs, &drawn));
            let _ = choice.shallow_clone().index_copy_(0, &open, &drawn);
        }
        self.take(time, &gained, &choice);
    }

    /// The rows that have a choice, where these are few enough to go ahead of the others. // [open rows]
    fn open(&self, time: i64) -> Option<Tensor> {
        if time == 0 || matches!(self.head, Head::Full { .. }) {
            return None;
        }
        let open = self.trie.branches(&self.node).gt(1).nonzero().squeeze_dim(-1);
        (open.size()[0] as f64 <= WORTH_WAITING * self.rows.size()[0] as f64).then_some(open)
    }

    /// Tokens that were not read yet, before the choice at `time`. // [rows, n]
    fn waiting(&self, time: i64) -> Tensor {
        self.tokens.narrow(1, self.past.time - 1, time + 1 - self.past.time).index_select(0, &self.rows)
    }

    /// Log-probabilities of the next choices, after all that waited was read. // [rows, choices]
    fn log_probs(&mut self, time: i64) -> Tensor {
        let digit = time % self.digits;
        if time > 0 {
            let states = self.stepper.step(&self.waiting(time), &mut self.past, &self.of_prompts);
            self.past.time = time + 1;
            return self.head.log_probs(&states, digit, Some(&self.node), &MayStop::Yes);
        }
        // The group shares the start token, and what is to be chosen after it; not the stop.
        let prompts = self.of_prompts.rows;
        let start = Tensor::zeros([prompts, 1], (Kind::Int64, self.tokens.device()));
        let alone = Layout::rectangle(prompts, 1, self.tokens.device());
        let states = self.stepper.step(&start, &mut self.past, &alone);
        self.past.time = 1;
        let root = Tensor::full([prompts], ROOT, (Kind::Int64, states.device()));
        let log_probs = self.head.log_probs(&states, 0, Some(&root), &MayStop::No); // [B, choices]
        log_probs.unsqueeze(1).expand([-1, self.group, -1], false).flatten(0, 1)
    }

    /// The same of some rows, which others do not wait for: what they read is read again with the others. // [n, choices]
    fn log_probs_of(&self, open: &Tensor, time: i64) -> Tensor {
        let prompt = self.rows.index_select(0, open).divide_scalar_mode(self.group, "floor");
        let of_prompts = Layout::by_owner(&prompt, self.of_prompts.rows);
        let mut past = self.past.of(open, time + 1);
        let states = self.stepper.step(&self.waiting(time).index_select(0, open), &mut past, &of_prompts);
        self.head.log_probs(&states, time % self.digits, Some(&self.node.index_select(0, open)), &MayStop::Yes)
    }

    /// Notes the choices, and the log-probabilities gained.
    fn take(&mut self, time: i64, gained: &Tensor, choice: &Tensor) {
        let digit = time % self.digits;
        let going = self.node.ne(SINK);
        let _ = self.score.index_add_(0, &self.rows, &(gained * going.to_kind(Kind::Float)));
        let token = self.head.token(choice, digit) * going.to_kind(Kind::Int64);
        let _ = self.tokens.select(1, time).index_copy_(0, &self.rows, &token);
        self.node = match &self.head {
            Head::Constrained { .. } => self.trie.advance(&self.node, choice, digit),
            Head::Full { vocabulary, .. } => self.node.masked_fill(&token.eq(vocabulary.eos()), SINK),
        };
    }

    /// Whether paths may have ended since the last boundary, after the choice at `time`.
    fn boundary(&self, time: i64) -> bool {
        match &self.head {
            Head::Constrained { .. } => time > 0 && time % self.digits == 0,
            Head::Full { .. } => (time + 1) % self.digits == 0,
        }
    }

    /// Takes finished paths out where it pays; whether any path goes on.
    fn drop_finished(&mut self) -> bool {
        let going = self.node.ne(SINK).nonzero().squeeze_dim(-1); // [rows that go on]
        let (left, now) = (going.size()[0], self.rows.size()[0]);
        if left > 0 && left as f64 <= WORTH_DROPPING * now as f64 {
            self.rows = self.rows.index_select(0, &going);
            self.node = self.node.index_select(0, &going);
            self.past = self.past.of(&going, self.tokens.size()[1]);
            let prompt = self.rows.divide_scalar_mode(self.group, "floor");
            self.of_prompts = Layout::by_owner(&prompt, self.of_prompts.rows);
        }
        left > 0
    }
}
