//! The least that a task can take: its products' arithmetic at the speed of a large product, or their factors and results
//! at the speed of a large copy, whichever takes longer.
//!
//! A multiplication with its addition counts two operations. Embeddings, norms, softmax, masks and dropout are not
//! counted: they move bytes, too, and what they take is what a task is above its floor.

use super::{HISTORY, Sizes};
use std::iter::Sum;
use std::ops::{Add, Mul};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Of the T5 in the paper's size.
mod t5 {
    pub const WIDTH: i64 = 128;
    /// All heads together.
    pub const INNER: i64 = 256;
    pub const HEADS: i64 = 4;
    pub const FEED_FORWARD: i64 = 512;
    pub const LAYERS: i64 = 3;
    /// Codes of a digit, and the stop.
    pub const CHOICES: i64 = 257;
    pub const DIGITS: i64 = 4;
    /// Tokens: codes of all digits, the start, the end, and one that is not used.
    pub const VOCABULARY: i64 = 1027;
}

/// Of SASRec in RecBole's size.
mod sasrec {
    pub const WIDTH: i64 = 64;
    pub const FEED_FORWARD: i64 = 256;
    pub const LAYERS: i64 = 2;
}

/// Backward costs two passes forward.
const WITH_BACKWARD: i64 = 3;

/// What the machine can do.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Operations a second of a large float32 product.
    pub float32: f64,
    /// The same with bf16 factors; none where they take longer than float32 ones, because the device has no such products.
    pub bf16: Option<f64>,
    /// Bytes a second of a large copy, read and written.
    pub bandwidth: f64,
}

impl Machine {
    /// Measures it, on as many threads as libtorch has.
    pub fn measure(device: Device) -> Self {
        let large = if device == Device::Cpu { 2_048 } else { 8_192 };
        // A large product without the instructions for it would take minutes.
        let has_bf16 = multiplies_bf16(device);
        let source = Tensor::zeros([64 << 20], (Kind::Float, device)); // 256 MiB, beyond the caches
        let target = source.empty_like();
        let seconds = quickest(device, || target.shallow_clone().copy_(&source));
        let bytes = 2.0 * 4.0 * source.numel() as f64;
        Self {
            float32: product(device, large, Kind::Float),
            bf16: has_bf16.then(|| product(device, large, Kind::BFloat16)),
            bandwidth: bytes / seconds,
        }
    }

    /// Operations a second in a precision of the policy's, which multiplies in float32 where bf16 would take longer.
    pub fn speed(&self, precision: &str) -> f64 {
        self.bf16.filter(|_| precision == "bf16").unwrap_or(self.float32)
    }
}

/// Whether a device has products of bf16, so that they take less than those of float32.
pub fn multiplies_bf16(device: Device) -> bool {
    let small = 256;
    device != Device::Cpu || product(device, small, Kind::BFloat16) > product(device, small, Kind::Float)
}

/// Operations a second of a product of two square factors.
fn product(device: Device, side: i64, kind: Kind) -> f64 {
    let factor = Tensor::randn([side, side], (Kind::Float, device)).to_kind(kind);
    let seconds = quickest(device, || drop(factor.mm(&factor)));
    2.0 * (side as f64).powi(3) / seconds
}

/// Least seconds of several calls.
fn quickest(device: Device, mut call: impl FnMut()) -> f64 {
    let mut once = || {
        let started = Instant::now();
        call();
        super::synchronise(device);
        started.elapsed().as_secs_f64()
    };
    once();
    (0..7).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// What products take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Multiplications, with an addition each.
    multiplications: f64,
    /// Numbers in factors and results.
    numbers: f64,
}

impl Work {
    /// A product of `[rows, inner]` and `[inner, columns]`.
    fn product(rows: i64, inner: i64, columns: i64) -> Self {
        let (rows, inner, columns) = (rows as f64, inner as f64, columns as f64);
        Self { multiplications: rows * inner * columns, numbers: rows * inner + inner * columns + rows * columns }
    }

    /// Operations: two for a multiplication with its addition.
    pub fn operations(&self) -> f64 {
        2.0 * self.multiplications
    }

    /// Bytes of factors and results in a precision.
    pub fn bytes(&self, precision: &str) -> f64 {
        self.numbers * if precision == "bf16" { 2.0 } else { 4.0 }
    }

    fn seconds(&self, precision: &str, machine: &Machine) -> f64 {
        (self.operations() / machine.speed(precision)).max(self.bytes(precision) / machine.bandwidth)
    }
}

impl Add for Work {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { multiplications: self.multiplications + other.multiplications, numbers: self.numbers + other.numbers }
    }
}

impl Mul<i64> for Work {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self { multiplications: self.multiplications * times as f64, numbers: self.numbers * times as f64 }
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

/// The parts of a step.
const STEP: [&str; 3] = ["sample", "reward", "update"];

/// Work of a task of these sizes, by its name; none where it is no task.
pub fn work(task: &str, sizes: &Sizes) -> Option<Work> {
    let Sizes { prompts, group, path_items, longest, items, .. } = *sizes;
    let said = Said::of(path_items, longest);
    let forward =
        |prompts: i64, group: i64, said: Said| encoder(prompts) + decoder(prompts, group, said, t5::VOCABULARY);
    // A history is read once for all its paths, and judged once.
    let judged = |prompts: i64, group: i64| {
        let read = reader(prompts, HISTORY, 0) + reader(prompts * group, path_items, HISTORY);
        read + scores(prompts * (1 + group * path_items), items)
    };
    Some(match task {
        "sample" => forward(prompts, group, said),
        // With backward the policy's, forward alone the reference's.
        "update" => forward(prompts, group, said) * (WITH_BACKWARD + 1),
        // One, two and three items by turns.
        // Dropout tells equal tokens apart.
        "pretrain" => (encoder(256) + decoder(256, 1, Said::of(2, longest), i64::MAX)) * WITH_BACKWARD,
        "beam" => forward(64, 10, said),
        "reward" => judged(prompts, group),
        "evaluate" => {
            let (prompts, beams) = super::EVALUATED;
            forward(prompts, beams, said) + judged(prompts, beams)
        }
        "sasrec" => {
            let (sequences, positions) = super::EPOCH;
            (reader(sequences, positions / sequences, 0) + scores(positions, items)) * WITH_BACKWARD
        }
        "step" => STEP.iter().filter_map(|part| work(part, sizes)).sum(),
        _ => return None,
    })
}

/// Least seconds of a task in a precision.
pub fn least(task: &str, precision: &str, sizes: &Sizes, machine: &Machine) -> Option<f64> {
    if task != "step" {
        return Some(work(task, sizes)?.seconds(precision, machine));
    }
    STEP.iter().map(|part| least(part, precision_of(part, precision), sizes, machine)).sum()
}

/// Bytes of a task's factors and results in a precision.
pub fn bytes(task: &str, precision: &str, sizes: &Sizes) -> Option<f64> {
    if task != "step" {
        return Some(work(task, sizes)?.bytes(precision));
    }
    STEP.iter().map(|part| bytes(part, precision_of(part, precision), sizes)).sum()
}

/// What judges paths computes in float32 whatever the policy does.
fn precision_of<'a>(task: &str, precision: &'a str) -> &'a str {
    if super::runs_the_policy(task) { precision } else { "float32" }
}

/// Tokens of a prompt: history, target, end.
const PROMPT: i64 = t5::DIGITS * (HISTORY + 1) + 1;

/// The encoder on some prompts.
fn encoder(prompts: i64) -> Work {
    use t5::{FEED_FORWARD, INNER, LAYERS, WIDTH};
    let tokens = prompts * PROMPT;
    let own = Work::product(tokens, WIDTH, 3 * INNER)
        + attention(prompts, PROMPT, PROMPT)
        + Work::product(tokens, INNER, WIDTH);
    let inner = Work::product(tokens, WIDTH, FEED_FORWARD) + Work::product(tokens, FEED_FORWARD, WIDTH);
    (own + inner) * LAYERS
}

/// Digits of the benchmark's random codes that have an alternative: of a few thousand items no two share two digits, but
/// for one in twenty.
const OPEN_DIGITS: i64 = 2;

/// What is said of a path.
#[derive(Clone, Copy)]
struct Said {
    /// Tokens up to the last that something is chosen after.
    tokens: i64,
    /// Tokens that something is chosen after.
    read: i64,
}

impl Said {
    /// Of a path of some items: with the choice to stop, unless there is no room for more.
    fn of(items: i64, longest: i64) -> Self {
        if items < longest {
            return Self { tokens: t5::DIGITS * items + 1, read: OPEN_DIGITS * items + 1 };
        }
        Self { tokens: t5::DIGITS * (items - 1) + OPEN_DIGITS, read: OPEN_DIGITS * items }
    }
}

/// The decoder on `group` paths for each of some prompts, to the choices. States before digits without an alternative are
/// not needed: of the last layer their keys and values alone. The start is a prompt's, not a path's. Of the first layer's
/// queries, keys and values there are no more than `different` tokens.
fn decoder(prompts: i64, group: i64, said: Said, different: i64) -> Work {
    use t5::{CHOICES, INNER, LAYERS, WIDTH};
    let Said { tokens, read } = said;
    let (all, asking) = (prompts * of_prompt(group, tokens), prompts * of_prompt(group, read));
    let last = Work::product(all, WIDTH, 2 * INNER)
        + Work::product(asking, WIDTH, INNER)
        + decoder_layer(prompts, group, read, tokens);
    let projected =
        Work::product(all.min(different), WIDTH, 3 * INNER) + Work::product(all, WIDTH, 3 * INNER) * (LAYERS - 2);
    let others = projected + decoder_layer(prompts, group, tokens, tokens) * (LAYERS - 1);
    others + last + Work::product(asking, WIDTH, CHOICES)
}

/// Tokens of a prompt's paths, which share the first.
fn of_prompt(group: i64, tokens: i64) -> i64 {
    1 + group * (tokens - 1)
}

/// A layer after its queries, keys and values, for `asking` of a path's `tokens`.
fn decoder_layer(prompts: i64, group: i64, asking: i64, tokens: i64) -> Work {
    use t5::{FEED_FORWARD, INNER, WIDTH};
    let of_prompt = of_prompt(group, asking);
    let all = prompts * of_prompt;
    // A token attends to those before it: half of the keys, in the middle.
    let own = attention(prompts, of_prompt, (tokens + 1) / 2) + Work::product(all, INNER, WIDTH);
    let cross = cross_attention(of_prompt) * prompts;
    own + cross + Work::product(all, WIDTH, FEED_FORWARD) + Work::product(all, FEED_FORWARD, WIDTH)
}

/// A prompt's `asking` tokens over its history, the shortest of three ways: queries, keys, values and output by their
/// weights; keys and values that the weights of queries and output are multiplied into; or queries and what is found that
/// the weights of keys and values are multiplied into, over the history itself.
fn cross_attention(asking: i64) -> Work {
    use t5::{HEADS, INNER, WIDTH};
    let width = INNER / HEADS;
    let keys_values = Work::product(PROMPT, WIDTH, 2 * INNER);
    let queries = Work::product(asking, WIDTH, INNER) + Work::product(asking, INNER, WIDTH); // and output
    let plain = keys_values + queries + attention(1, asking, PROMPT);
    let absorbed = keys_values
        + Work::product(PROMPT, width, WIDTH) * (2 * HEADS)
        + Work::product(asking, WIDTH, HEADS * PROMPT)
        + Work::product(asking, HEADS * PROMPT, WIDTH);
    let bare = queries
        + Work::product(asking, width, WIDTH) * (2 * HEADS)
        + Work::product(asking * HEADS, WIDTH, PROMPT)
        + Work::product(asking * HEADS, PROMPT, WIDTH);
    let shorter = |one: Work, other: Work| if one.multiplications < other.multiplications { one } else { other };
    shorter(shorter(absorbed, bare), plain)
}

/// Both products of attention, of `batch` times `queries` with `keys`.
fn attention(batch: i64, queries: i64, keys: i64) -> Work {
    use t5::{HEADS, INNER};
    let width = INNER / HEADS;
    (Work::product(queries, width, keys) + Work::product(queries, keys, width)) * (batch * HEADS)
}

/// SASRec on `sequences` of `length` that go on after `before` items, whose keys and values are known.
fn reader(sequences: i64, length: i64, before: i64) -> Work {
    use sasrec::{FEED_FORWARD, LAYERS, WIDTH};
    let all = sequences * length;
    let seen = before + (length + 1) / 2;
    let own = Work::product(all, WIDTH, 3 * WIDTH) + Work::product(all, WIDTH, WIDTH);
    let attention = (Work::product(length, WIDTH, seen) + Work::product(length, seen, WIDTH)) * sequences;
    let inner = Work::product(all, WIDTH, FEED_FORWARD) + Work::product(all, FEED_FORWARD, WIDTH);
    (own + attention + inner) * LAYERS
}

/// States with all items.
fn scores(states: i64, items: i64) -> Work {
    Work::product(states, sasrec::WIDTH, items + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sizes() -> Sizes {
        Sizes::of_the_comparison(Device::Cpu)
    }

    #[test]
    fn a_step_is_its_parts_and_an_update_four_samples() {
        let of = |task: &str| work(task, &sizes()).unwrap();
        assert_eq!(of("step"), of("sample") + of("reward") + of("update"));
        assert_eq!(of("update"), of("sample") * 4);
        assert!(work("nothing", &sizes()).is_none());
    }

    #[test]
    fn the_longest_paths_end_without_a_choice() {
        let (shorter, longest) = (Said::of(3, 10), Said::of(10, 10));
        assert_eq!((shorter.tokens, shorter.read), (13, 7));
        assert_eq!((longest.tokens, longest.read), (38, 20));
    }

    #[test]
    fn tokens_over_a_history_go_the_shortest_way() {
        // A token alone is multiplied with all weights; with many, each costs what two products with the keys of all heads
        // do.
        assert_eq!(cross_attention(1).multiplications, (4 * 128 * 256 + 2 * 4 * 128 * PROMPT) as f64);
        let one_more = cross_attention(1_001).multiplications - cross_attention(1_000).multiplications;
        assert_eq!(one_more, (2 * 128 * 4 * PROMPT) as f64);
    }

    #[test]
    fn a_product_is_counted_once_and_its_bytes_by_precision() {
        let work = Work::product(2, 3, 5);
        assert_eq!((work.operations(), work.numbers), (60.0, 6.0 + 15.0 + 10.0));
        assert_eq!((work.bytes("float32"), work.bytes("bf16")), (124.0, 62.0));
    }

    #[test]
    fn the_slower_of_arithmetic_and_memory_binds() {
        let machine = Machine { float32: 100.0, bf16: Some(200.0), bandwidth: 1.0 };
        let work = Work::product(2, 3, 5);
        assert_eq!(work.seconds("float32", &machine), 124.0);
        assert_eq!(work.seconds("bf16", &Machine { bandwidth: 1e9, ..machine }), 0.3);
        assert_eq!(work.seconds("bf16", &Machine { bandwidth: 1e9, bf16: None, ..machine }), 0.6);
    }

    #[test]
    fn the_sizes_of_the_comparison_need_some_gigaflops() {
        let gigaflops = |task: &str| work(task, &sizes()).unwrap().operations() / 1e9;
        for (task, least, most) in
            [("sample", 12.0, 20.0), ("pretrain", 70.0, 100.0), ("beam", 18.0, 26.0), ("sasrec", 80.0, 180.0)]
        {
            assert!((least..most).contains(&gigaflops(task)), "{task}: {}", gigaflops(task));
        }
    }

    #[test]
    fn a_machine_is_faster_than_nothing() {
        let machine = Machine::measure(Device::Cpu);
        assert!(machine.float32 > 1e8 && machine.bandwidth > 1e8, "{machine:?}");
        assert!(machine.speed("bf16") > 1e8, "{machine:?}");
    }
}
