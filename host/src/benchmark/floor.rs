//! The least that a task can take: its arithmetic at the speed of a large product, beside the measured time.
//!
//! A multiplication with its addition counts two operations. Embeddings, norms, softmax, masks and dropout are not
//! counted: they move bytes, and what they take is what a task is above its floor.

use super::{HISTORY, Sizes};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Of the T5 in the paper's size.
mod t5 {
    pub const WIDTH: i64 = 128;
    /// All heads together.
    pub const INNER: i64 = 256;
    pub const FEED_FORWARD: i64 = 512;
    pub const LAYERS: i64 = 3;
    /// Codes of a digit, and the stop.
    pub const CHOICES: i64 = 257;
    pub const DIGITS: i64 = 4;
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
    /// The same with bf16 factors.
    pub bf16: f64,
    /// Bytes a second of a large copy, read and written.
    pub bandwidth: f64,
}

impl Machine {
    /// Measures it, on as many threads as libtorch has.
    pub fn measure(device: Device) -> Self {
        let side = if device == Device::Cpu { 2_048 } else { 8_192 };
        let product = |kind: Kind| {
            let factor = Tensor::randn([side, side], (Kind::Float, device)).to_kind(kind);
            let seconds = quickest(device, || drop(factor.mm(&factor)));
            2.0 * (side as f64).powi(3) / seconds
        };
        let source = Tensor::zeros([64 << 20], (Kind::Float, device)); // 256 MiB, beyond the caches
        let target = source.empty_like();
        let seconds = quickest(device, || target.shallow_clone().copy_(&source));
        let bytes = 2.0 * 4.0 * source.numel() as f64;
        Self { float32: product(Kind::Float), bf16: product(Kind::BFloat16), bandwidth: bytes / seconds }
    }

    /// Operations a second in a precision of the policy's.
    pub fn speed(&self, precision: &str) -> f64 {
        if precision == "bf16" { self.bf16 } else { self.float32 }
    }
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

/// Operations of a task of these sizes, by its name; none where it is no task.
pub fn operations(task: &str, sizes: &Sizes) -> Option<f64> {
    let Sizes { prompts, group, path_items, items, .. } = *sizes;
    let tokens = t5::DIGITS * path_items + 1;
    let forward = prompts * (encoder() + group * decoder(tokens));
    let products = match task {
        "sample" => forward,
        // With backward the policy's, forward alone the reference's.
        "update" => (WITH_BACKWARD + 1) * forward,
        // One, two and three items by turns.
        "pretrain" => WITH_BACKWARD * 256 * (encoder() + decoder(t5::DIGITS * 2 + 1)),
        "beam" => 64 * (encoder() + 10 * decoder(tokens)),
        "reward" => {
            let read = prompts * group * (HISTORY + path_items);
            read * reader(HISTORY + path_items) + prompts * group * (path_items + 1) * scores(items)
        }
        "sasrec" => {
            let (sequences, positions) = super::EPOCH;
            WITH_BACKWARD * positions * (reader(positions / sequences) + scores(items))
        }
        "step" => return ["sample", "reward", "update"].iter().map(|part| operations(part, sizes)).sum(),
        _ => return None,
    };
    Some(2.0 * products as f64)
}

/// Least seconds of a task in a precision.
pub fn least(task: &str, precision: &str, sizes: &Sizes, machine: &Machine) -> Option<f64> {
    if task != "step" {
        return Some(operations(task, sizes)? / machine.speed(precision));
    }
    // What judges paths computes in float32 whatever the policy does.
    let parts = [("sample", precision), ("reward", "float32"), ("update", precision)];
    parts.iter().map(|(part, precision)| least(part, precision, sizes, machine)).sum()
}

/// Tokens of a prompt: history, target, end.
const PROMPT: i64 = t5::DIGITS * (HISTORY + 1) + 1;

/// Multiplications of a prompt in the encoder, with the keys and values that the decoder looks at.
fn encoder() -> i64 {
    use t5::{FEED_FORWARD, INNER, LAYERS, WIDTH};
    let layer = 4 * WIDTH * INNER + 2 * WIDTH * FEED_FORWARD + 2 * PROMPT * INNER;
    PROMPT * LAYERS * (layer + 2 * WIDTH * INNER)
}

/// Multiplications of a path of `tokens` in the decoder.
fn decoder(tokens: i64) -> i64 {
    use t5::{CHOICES, FEED_FORWARD, INNER, LAYERS, WIDTH};
    let own = 4 * WIDTH * INNER + (tokens + 1) * INNER; // of two products over half of the tokens
    let cross = 2 * WIDTH * INNER + 2 * PROMPT * INNER;
    tokens * (LAYERS * (own + cross + 2 * WIDTH * FEED_FORWARD) + WIDTH * CHOICES)
}

/// Multiplications of a position of a sequence of `length` in SASRec.
fn reader(length: i64) -> i64 {
    use sasrec::{FEED_FORWARD, LAYERS, WIDTH};
    LAYERS * (4 * WIDTH * WIDTH + (length + 1) * WIDTH + 2 * WIDTH * FEED_FORWARD)
}

/// Multiplications of a state with all items.
fn scores(items: i64) -> i64 {
    sasrec::WIDTH * (items + 1)
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
        let of = |task: &str| operations(task, &sizes()).unwrap();
        assert_eq!(of("step"), of("sample") + of("reward") + of("update"));
        assert_eq!(of("update"), 4.0 * of("sample"));
        assert!(operations("nothing", &sizes()).is_none());
    }

    #[test]
    fn the_sizes_of_the_comparison_need_some_gigaflops() {
        let gigaflops = |task: &str| operations(task, &sizes()).unwrap() / 1e9;
        for (task, least, most) in
            [("sample", 14.0, 20.0), ("pretrain", 70.0, 100.0), ("beam", 18.0, 26.0), ("sasrec", 80.0, 180.0)]
        {
            assert!((least..most).contains(&gigaflops(task)), "{task}: {}", gigaflops(task));
        }
    }

    #[test]
    fn a_machine_is_faster_than_nothing() {
        let machine = Machine::measure(Device::Cpu);
        assert!(machine.float32 > 1e8 && machine.bf16 > 1e7 && machine.bandwidth > 1e8, "{machine:?}");
        assert_eq!(machine.speed("bf16"), machine.bf16);
    }
}
