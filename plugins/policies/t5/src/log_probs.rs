//! Log-probabilities of given paths under the very distribution that is sampled.

use crate::decoder::{Wanted, decode};
use crate::encoder::encode;
use crate::head::{Head, MayStop};
use crate::layout::{Layout, WORTH_PACKING};
use crate::policy::Call;
use crate::tokens::Spelled;
use prorl_sdk::policy::{ActionLogProbs, Query};
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Kind, Tensor};

/// The choices made at one digit of all paths.
struct Choices {
    digit: i64,
    /// Where they are: path times `T` plus time. // [n]
    place: Tensor,
    /// Where their numbers go: path times `(P + 1) L` plus time. // [n]
    target: Tensor,
    choice: Tensor,        // [n]
    nodes: Option<Tensor>, // [n] in the trie
}

/// Differentiable log-probabilities.
pub fn log_probs(call: &Call<'_>, prompts: &Prompts, paths: &Paths, query: &Query) -> ActionLogProbs {
    let (prompt_count, group, path) = paths.sizes();
    let digits = call.vocabulary.digits;
    let encoded = encode(call, prompts);
    let spelled = call.vocabulary.paths(paths);
    let worth = call.network.worth_packing();
    let layout = spelled.layout(worth);
    let head = call.head();
    let every = query.distribution || query.hidden;
    let choices: Vec<Choices> =
        (0..digits).map(|digit| choices(call, &head, &spelled, &layout, paths, digit, every)).collect();
    let places = Tensor::cat(&choices.iter().map(|choices| &choices.place).collect::<Vec<_>>(), 0); // [n]
    let (inputs, places, layout) = match call.network.shared_start(group) {
        None => (spelled.shifted(), places, layout),
        Some(start) => {
            let places = start.places(&places, layout.time);
            (start.inputs(&spelled.shifted()), places, start.layout(&layout, worth))
        }
    };
    // Nothing looks back at what follows a path's last choice.
    let layout = layout.up_to(&places, worth);
    let reading = Reading::new(&choices, &places, &layout, prompt_count);
    let wanted = reading.wanted.as_ref();
    let states = decode(&call.network, call.weights, call.decoder_buckets, &encoded, &inputs, &layout, wanted);
    let states = reading.of_digits(&states); // a digit: [n, D]
    let cells = [prompt_count, group, path + 1, digits];
    let mut answer = Answer { cells, digits: Vec::new(), entropy: Vec::new(), distribution: Vec::new() };
    for (chosen, states) in choices.iter().zip(&states) {
        answer.put(&head, chosen, states, query);
    }
    let targets: Vec<&Tensor> = choices.iter().map(|choices| &choices.target).collect();
    let targets = Tensor::cat(&targets, 0);
    let hidden = query.hidden.then(|| hidden(call, &choices[0], &states[0], cells));
    ActionLogProbs {
        digits: scattered(cells, &targets, &answer.digits),
        entropy: query.entropy.then(|| scattered(cells, &targets, &answer.entropy)),
        distribution: query
            .distribution
            .then(|| distribution(head.most_choices(), cells, &targets, &answer.distribution)),
        hidden,
    }
}

/// Finds the choices at a digit; those without an alternative only where `every` is asked for.
fn choices(
    call: &Call<'_>,
    head: &Head<'_>,
    spelled: &Spelled,
    layout: &Layout,
    paths: &Paths,
    digit: i64,
    every: bool,
) -> Choices {
    let (rows, time, digits) = (layout.rows, layout.time, call.vocabulary.digits);
    let steps = (time - digit + digits - 1).div_euclid(digits).max(0); // times digit, digit + L, .. below T
    let strided = |full: &Tensor| match steps {
        0 => full.narrow(1, 0, 0),
        _ => full.slice(1, digit, time, digits),
    };
    let mut real = strided(layout.real()); // [rows, steps]
    let mut nodes = None;
    if let Head::Constrained { trie, .. } = head {
        let items = paths.items.flatten(0, 1); // [rows, P]
        let missing = steps - items.size()[1];
        let items = if missing > 0 { items.constant_pad_nd([0, missing]) } else { items.narrow(1, 0, steps) };
        let before = if digit == 0 { items.zeros_like() } else { trie.before(&items, digit) }; // [rows, steps]
        if digit > 0 && !every {
            real = real.logical_and(&trie.branches(&before).gt(1));
        }
        nodes = Some(before);
    }
    let flat = real.flatten(0, 1).nonzero().squeeze_dim(-1); // [n]
    let at = |full: &Tensor| full.reshape([rows * steps]).index_select(0, &flat);
    let row = flat.divide_scalar_mode(steps.max(1), "floor");
    let when = flat.remainder(steps.max(1)) * digits + digit;
    Choices {
        digit,
        place: &row * time + &when,
        target: &row * ((paths.sizes().2 + 1) * digits) + &when,
        choice: head.choice(&at(&strided(&spelled.tokens)), digit),
        nodes: nodes.map(|nodes| at(&nodes)),
    }
}

/// Which states are read, and by which choices.
struct Reading {
    /// What the decoder is asked for, unless it is nearly everything.
    wanted: Option<Wanted>,
    /// The state of each choice, digit by digit, among those that the decoder gives. // [n]
    rows: Tensor,
    /// Choices of each digit.
    counts: Vec<i64>,
}

impl Reading {
    fn new(choices: &[Choices], places: &Tensor, layout: &Layout, prompts: i64) -> Self {
        let counts = choices.iter().map(|choices| choices.place.size()[0]).collect();
        let (asked, found) = places.internal_unique(true, true); // ascending
        if asked.size()[0] as f64 > WORTH_PACKING * layout.len() as f64 {
            return Self { wanted: None, rows: layout.locate(places), counts };
        }
        let rows = asked.divide_scalar_mode(layout.time, "floor");
        let owner = rows.divide_scalar_mode(layout.rows / prompts, "floor");
        let of_prompts = Layout::by_owner(&owner, prompts);
        let wanted = Wanted { places: layout.locate(&asked), rows, times: layout.times(&asked), of_prompts };
        Self { wanted: Some(wanted), rows: found, counts }
    }

    /// The states of all choices, digit by digit.
    fn of_digits(&self, states: &Tensor) -> Vec<Tensor> {
        // An embedding is a gather of rows whose gradient is summed in parallel.
        Tensor::embedding(states, &self.rows, -1, false, false).split_with_sizes(&self.counts, 0)
    }
}

struct Answer {
    cells: [i64; 4],
    digits: Vec<Tensor>,
    entropy: Vec<Tensor>,
    distribution: Vec<Tensor>,
}

impl Answer {
    fn put(&mut self, head: &Head<'_>, chosen: &Choices, states: &Tensor, query: &Query) {
        let begun = chosen.target.remainder(self.cells[2] * self.cells[3]).ge(self.cells[3]); // past the first item
        let nodes = chosen.nodes.as_ref().filter(|_| chosen.digit > 0);
        let all = if chosen.digit == 0 {
            head.log_probs_at_root(states, &MayStop::Where(&begun))
        } else {
            head.log_probs(states, chosen.digit, nodes, &MayStop::Yes)
        }; // [n, choices]
        self.digits.push(all.gather(1, &chosen.choice.unsqueeze(-1), false).squeeze_dim(-1));
        if query.entropy {
            let finite = all.masked_fill(&all.isneginf(), 0.0);
            self.entropy.push(-(all.exp() * finite).sum_dim_intlist(-1, false, None::<Kind>));
        }
        if query.distribution {
            let missing = head.most_choices() - all.size()[1];
            self.distribution.push(all.pad([0, missing], "constant", f64::NEG_INFINITY));
        }
    }
}

/// `values` at `targets`, 0 elsewhere. // [B, G, P + 1, L]
fn scattered(cells: [i64; 4], targets: &Tensor, values: &[Tensor]) -> Tensor {
    let values = Tensor::cat(values, 0);
    values
        .new_zeros([cells.iter().product::<i64>()], (values.kind(), values.device()))
        .index_copy(0, targets, &values)
        .view(cells)
}

/// Whole distributions at `targets`, minus infinity elsewhere. // [B, G, P + 1, L, C]
fn distribution(width: i64, cells: [i64; 4], targets: &Tensor, values: &[Tensor]) -> Tensor {
    let values = Tensor::cat(values, 0); // [n, C]
    let size = [cells.iter().product::<i64>(), width];
    let nowhere = values.new_full(size, f64::NEG_INFINITY, (values.kind(), values.device()));
    nowhere.index_copy(0, targets, &values).view([cells[0], cells[1], cells[2], cells[3], width])
}

/// States before first digits, the decoder's output. // [B, G, P + 1, D]
fn hidden(call: &Call<'_>, first: &Choices, states: &Tensor, cells: [i64; 4]) -> Tensor {
    let states = states * &call.weights.decoder.final_norm;
    let width = states.size()[1];
    let actions = first.target.divide_scalar_mode(cells[3], "floor");
    let none = states.new_zeros([cells[0] * cells[1] * cells[2], width], (states.kind(), states.device()));
    none.index_copy(0, &actions, &states).view([cells[0], cells[1], cells[2], width])
}
