//! Ancestral sampling: one draw a token, finished paths taken out of the batch as they end.

use crate::attention::Network;
use crate::encoder::Encoded;
use crate::filters::{draw, probabilities};
use crate::head::{Head, MayStop};
use crate::policy::Call;
use crate::relative::Buckets;
use crate::stepper::{Past, Stepper};
use crate::trie::{ROOT, SINK, Trie};
use prorl_sdk::policy::Decoding;
use tch::{Kind, Tensor};

/// Finished paths are taken out where at most this share of the rows goes on.
const WORTH_DROPPING: f64 = 0.8;

/// Tokens `[B, G, P * L]` and the log-probabilities of their paths `[B, G]`.
pub fn sample(call: &Call<'_>, encoded: &Encoded, decoding: &Decoding) -> (Tensor, Tensor) {
    let mut drawing = Drawing::new(call, encoded, decoding);
    let (digits, longest) = (call.vocabulary.digits, call.path * call.vocabulary.digits);
    let forced = decoding.forced_length * digits;
    let steps = if forced == 0 { longest } else { longest.min(forced + 1) };
    for time in 0..steps {
        let log_probs = drawing.log_probs(time);
        let choice = match drawing.head.stop(time % digits) {
            Some(stop) if forced > 0 && time == forced => log_probs.new_full_choice(stop),
            Some(stop) if forced > 0 => {
                let allowed = log_probs.copy();
                let _ = allowed.narrow(1, stop, 1).fill_(f64::NEG_INFINITY);
                draw(&probabilities(&allowed, decoding))
            }
            _ => draw(&probabilities(&log_probs, decoding)),
        };
        drawing.take(time, &log_probs, &choice);
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
    head: Head<'a>,
    trie: &'a Trie,
    digits: i64,
    group: i64,
    tokens: Tensor, // [B * G, P * L]
    score: Tensor,  // [B * G]
    rows: Tensor,   // [rows] paths' numbers
    node: Tensor,   // [rows] in the trie; the sink once finished
    last: Tensor,   // [rows] newest token
}

impl<'a> Drawing<'a> {
    fn new(call: &Call<'a>, encoded: &Encoded, decoding: &Decoding) -> Self {
        let (prompts, longest) = (encoded.layout.rows, call.path * call.vocabulary.digits);
        let paths = prompts * decoding.group;
        let device = encoded.states.device();
        let integers = (Kind::Int64, device);
        Self {
            stepper: Stepper::new(call.network, call.weights, encoded),
            past: OwnPast::new(call, prompts, decoding.group, longest, device),
            head: call.head(),
            trie: call.trie,
            digits: call.vocabulary.digits,
            group: decoding.group,
            tokens: Tensor::zeros([paths, longest], integers),
            score: Tensor::zeros([paths], (Kind::Float, device)),
            rows: Tensor::arange(paths, integers),
            node: Tensor::full([paths], ROOT, integers),
            last: Tensor::zeros([prompts], integers), // the start token, read once a prompt
        }
    }

    /// Log-probabilities of the next choices. // [rows, choices]
    fn log_probs(&mut self, time: i64) -> Tensor {
        let states = self.stepper.step(&self.last, &mut self.past);
        self.past.time += 1;
        if time > 0 {
            return self.head.log_probs(&states, time % self.digits, Some(&self.node), &MayStop::at(time));
        }
        let root = Tensor::full([states.size()[0]], ROOT, (Kind::Int64, states.device()));
        let log_probs = self.head.log_probs(&states, 0, Some(&root), &MayStop::No); // [B, choices]
        log_probs.unsqueeze(1).expand([-1, self.group, -1], false).flatten(0, 1) // the group shares its first choice
    }

    /// Notes the choices.
    fn take(&mut self, time: i64, log_probs: &Tensor, choice: &Tensor) {
        let digit = time % self.digits;
        let going = self.node.ne(SINK);
        let chosen = log_probs.gather(1, &choice.unsqueeze(-1), false).squeeze_dim(-1) * going.to_kind(Kind::Float);
        let _ = self.score.index_add_(0, &self.rows, &chosen);
        self.last = self.head.token(choice, digit) * going.to_kind(Kind::Int64);
        let _ = self.tokens.select(1, time).index_copy_(0, &self.rows, &self.last);
        self.node = match &self.head {
            Head::Constrained { .. } => self.trie.advance(&self.node, choice, digit),
            Head::Full { vocabulary, .. } => self.node.masked_fill(&self.last.eq(vocabulary.eos()), SINK),
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
            self.last = self.last.index_select(0, &going);
            self.past.keep(&going);
            self.stepper.keep_rows(&self.rows.divide_scalar_mode(self.group, "floor"));
        }
        left > 0
    }
}

impl MayStop<'static> {
    /// In a path that is `time` tokens long: not before its first item.
    pub fn at(time: i64) -> Self {
        if time == 0 { Self::No } else { Self::Yes }
    }
}

/// Keys and values of each path's own tokens.
struct OwnPast {
    keys: Vec<Tensor>,   // [rows, heads, P * L, d_kv]
    values: Vec<Tensor>, // [rows, heads, P * L, d_kv]
    bias: Tensor,        // [heads, P * L, P * L]
    group: i64,
    time: i64,
}

impl OwnPast {
    fn new(call: &Call<'_>, prompts: i64, group: i64, longest: i64, device: tch::Device) -> Self {
        let Network { heads, d_kv, kind, .. } = call.network;
        let room = || Tensor::empty([prompts * group, heads, longest, d_kv], (kind, device));
        let layers = call.weights.decoder.blocks.len();
        let buckets: Buckets = call.decoder_buckets;
        Self {
            keys: (0..layers).map(|_| room()).collect(),
            values: (0..layers).map(|_| room()).collect(),
            bias: buckets.bias(&call.weights.decoder.relative_bias, 0, longest, longest),
            group,
            time: 0,
        }
    }

    fn keep(&mut self, rows: &Tensor) {
        for tensor in self.keys.iter_mut().chain(&mut self.values) {
            let old = tensor.narrow(2, 0, self.time).index_select(0, rows);
            let mut size = tensor.size();
            size[0] = rows.size()[0];
            *tensor = tensor.new_empty(size, (tensor.kind(), tensor.device()));
            tensor.narrow(2, 0, self.time).copy_(&old);
        }
    }
}

impl Past for OwnPast {
    fn attend(&mut self, network: &Network, layer: usize, qkv: &Tensor) -> Tensor {
        let (Network { heads, d_kv, .. }, time) = (*network, self.time);
        let (keys, values) = (&self.keys[layer], &self.values[layer]);
        let (key, value) = (qkv.select(1, 1), qkv.select(1, 2)); // [rows, heads, d_kv]
        if time == 0 {
            let shared = |new: &Tensor| new.unsqueeze(1).expand([-1, self.group, -1, -1], false).flatten(0, 1);
            keys.select(2, 0).copy_(&shared(&key));
            values.select(2, 0).copy_(&shared(&value));
            return value.reshape([-1, heads * d_kv]); // the only token attends to itself
        }
        keys.select(2, time).copy_(&key);
        values.select(2, time).copy_(&value);
        let rows = qkv.size()[0];
        // Products of what is contiguous are many times faster than the copy is slow.
        let so_far = |kept: &Tensor| kept.narrow(2, 0, time + 1).contiguous().view([rows * heads, time + 1, d_kv]);
        let query = qkv.select(1, 0).reshape([rows * heads, 1, d_kv]);
        let scores = query.bmm(&so_far(keys).transpose(1, 2)).view([rows, heads, 1, time + 1]);
        let bias = self.bias.narrow(1, time, 1).narrow(2, 0, time + 1); // [heads, 1, time + 1]
        network.mix(scores, Some(&bias), &so_far(values)).view([rows, heads * d_kv])
    }
}
