//! Dropout with four decisions from every random number.
//!
//! On the processor libtorch draws one number after the other by a slow generator, on one thread, and compares and widens
//! them by slow kernels: a model in training would wait for that a fifth of its time.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use tch::{Device, Kind, Tensor};

/// Steps of a decision's 16 bits.
const STEPS: f64 = 65536.0;

/// How 16 random bits decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Numbers below this one drop.
    pub dropped: u16,
    /// What is kept is multiplied by this.
    pub kept: f64,
}

impl Decision {
    /// For a share in [0, 1), to the nearest 65536th; none where that is 0.
    pub fn of(share: f64) -> Option<Self> {
        let dropped = (share * STEPS).round().min(STEPS - 1.0);
        (dropped > 0.0).then(|| Self { dropped: dropped as u16, kept: STEPS / (STEPS - dropped) })
    }
}

/// Where a generator of decisions begins: the next number of libtorch's own.
pub fn seed() -> u64 {
    Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]) as u64
}
/// Decisions of a random number.
const OF_A_NUMBER: usize = 4;

/// In training, zeroes about `share` of `x` (in [0, 1), to the nearest 65536th) and scales the rest so that its mean stays,
/// as `torch::dropout` does; what is drawn follows from libtorch's seed. // as `x`
pub fn dropout(x: &Tensor, share: f64, training: bool) -> Tensor {
    let Some(Decision { dropped, kept: scale }) = Decision::of(share).filter(|_| training) else {
        return x.shallow_clone();
    };
    if x.device() != Device::Cpu {
        return x.dropout(share, true);
    }
    let mut decisions = decisions(x.numel()).view_as(x);
    let _ = decisions.ge_(i64::from(dropped) - STEPS as i64 / 2); // int16 begins at -32768
    let mut kept = decisions.to_kind(x.kind());
    kept *= scale;
    x * kept
}

/// Random numbers of 16 bits, which follow from the state of libtorch's own generator. // [count] int16
fn decisions(count: usize) -> Tensor {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed());
    let numbers: Vec<i64> = (0..count.div_ceil(OF_A_NUMBER)).map(|_| generator.next_u64() as i64).collect();
    Tensor::from_slice(&numbers).view_dtype(Kind::Int16).narrow(0, 0, count as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_its_share_and_keeps_the_mean() {
        let ones = Tensor::ones([401, 499], (Kind::Float, Device::Cpu));
        for share in [0.1, 0.5, 0.9] {
            let kept = dropout(&ones, share, true);
            let mean = kept.mean(Kind::Double).double_value(&[]);
            let zeros = kept.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!((zeros - share).abs() < 0.006, "{zeros} of {share}"); // over 5 standard deviations
            assert!((mean - 1.0).abs() < 0.04, "{mean}");
            let most = kept.max().double_value(&[]);
            assert!((most - 1.0 / (1.0 - share)).abs() < 1e-3, "{most}");
        }
    }

    #[test]
    fn decisions_are_independent_of_their_neighbours() {
        let kept =
            dropout(&Tensor::ones([400_000], (Kind::Float, Device::Cpu)), 0.5, true).gt(0.0).to_kind(Kind::Double);
        for lag in 1..9 {
            let here = kept.narrow(0, 0, 400_000 - lag);
            let both = (here * kept.narrow(0, lag, 400_000 - lag)).mean(Kind::Double).double_value(&[]);
            assert!((both - 0.25).abs() < 0.004, "{both} at a distance of {lag}");
        }
    }

    #[test]
    fn outside_training_nothing_is_dropped() {
        let x = Tensor::randn([40], (Kind::Float, Device::Cpu));
        assert_eq!(dropout(&x, 0.5, false), x);
        assert_eq!(dropout(&x, 0.0, true), x);
    }

    #[test]
    fn the_seed_decides() {
        let drawn = |seed| {
            tch::manual_seed(seed);
            dropout(&Tensor::ones([1_000], (Kind::Float, Device::Cpu)), 0.5, true)
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
