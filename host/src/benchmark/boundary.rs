//! What it costs that components live in shared libraries: nanoseconds a call, and the share of a training step.

use super::{Bench, Sizes};
use crate::plugins::Registry;
use anyhow::Result;
use prorl_sdk::algorithm::Moved;
use serde_json::json;
use std::fmt;
use std::hint::black_box;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Calls that are timed together; the clock is too coarse for one.
const CALLS: u32 = 20_000;

/// Calls of components in a step of `prorl`: rollout, scores, advantages, log-probabilities of policy and reference,
/// loss.
const CALLS_OF_A_STEP: f64 = 6.0;

/// What was measured, in seconds.
#[derive(Clone, Debug)]
pub struct Boundary {
    /// A call of a function in this program that sets a flag.
    pub direct: f64,
    /// The same of a component in a library: `set_training` of a reward model.
    pub flag: f64,
    /// A call of a component in a library with a record of five tensors: `early_stop` of an algorithm, which looks at
    /// none of them.
    pub record: f64,
    /// Sampling, scoring and update of one step.
    pub step: f64,
}

impl Boundary {
    /// Share of a step that is spent on crossing, as if every call were of the costlier sort.
    pub fn share(&self) -> f64 {
        CALLS_OF_A_STEP * (self.record - self.direct) / self.step
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = |seconds: f64| seconds * 1e9;
        writeln!(formatter, "boundary  {:9.1} ns  a call within the program", nanoseconds(self.direct))?;
        writeln!(formatter, "boundary  {:9.1} ns  the same through a library", nanoseconds(self.flag))?;
        writeln!(
            formatter,
            "boundary  {:9.1} ns  a call with five tensors through a library",
            nanoseconds(self.record)
        )?;
        write!(
            formatter,
            "boundary  {:9.5} %   of a step of {:.3} s: {CALLS_OF_A_STEP} calls with five tensors",
            100.0 * self.share(),
            self.step
        )
    }
}

struct Flag(bool);

impl Flag {
    #[inline(never)]
    fn set_training(&mut self, training: bool) {
        self.0 = training;
    }
}

/// Measures the boundary, and a step of these sizes.
///
/// # Errors
/// A plugin is missing or fails.
pub fn measure(registry: &Registry, sizes: &Sizes) -> Result<Boundary> {
    let bench = Bench::new(registry, sizes);
    let mut flag = Flag(false);
    let direct = seconds_a_call(sizes.repeats, || {
        black_box(&mut flag).set_training(black_box(true));
        Ok(())
    })?;
    let mut model = bench.reward_model(0)?;
    let through = seconds_a_call(sizes.repeats, || Ok(model.set_training(black_box(true))?))?;
    let setup = prorl_sdk::setup::Setup { hidden: 1, ..super::setup(sizes) };
    let mut algorithm = registry.algorithm("ppo", &json!({}), &setup)?;
    let moved = moved();
    let record = seconds_a_call(sizes.repeats, || {
        black_box(algorithm.goes_on(black_box(&moved))?);
        Ok(())
    })?;
    let step = bench.sample()?.seconds + bench.reward()?.seconds + bench.update()?.seconds;
    Ok(Boundary { direct, flag: through, record, step })
}

/// One path of one item; how many there are does not matter to a call.
fn moved() -> Moved {
    let digits = || Tensor::zeros([1, 1, 2, 1], (Kind::Float, Device::Cpu));
    let integers = |size: &[i64]| Tensor::ones(size, (Kind::Int64, Device::Cpu));
    Moved {
        current: digits(),
        behaviour: digits(),
        items: integers(&[1, 1, 1]),
        length: integers(&[1, 1]),
        stopped: integers(&[1, 1]).to_kind(Kind::Bool),
    }
}

/// Median over the repeats.
fn seconds_a_call(repeats: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..=repeats.max(1) {
        let started = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        seconds.push(started.elapsed().as_secs_f64() / f64::from(CALLS));
    }
    seconds.remove(0); // caches and clocks warm up
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_six_calls() {
        let boundary = Boundary { direct: 1e-9, flag: 2e-8, record: 1.001e-6, step: 0.6 };
        assert!((boundary.share() - 1e-5).abs() < 1e-12);
        assert!(boundary.to_string().contains("0.00100 %"), "{boundary}");
    }
}
