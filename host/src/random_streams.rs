//! Random streams: every draw is a function of (seed, stage, step, process).
//!
//! Nothing depends on how many numbers were drawn before, so a resumed run continues as if it had
//! never stopped, and adding a draw in one stage leaves the others as they were.
//!
//! # How a stream is derived
//! The first eight bytes, little-endian, of
//! SHA-256(`"prorl-stream-1"` ‖ seed ‖ length of stage ‖ stage ‖ step ‖ process), numbers as 64-bit
//! little-endian. The stage's length keeps neighbouring fields apart. Two different inputs share a
//! stream with probability 2⁻⁶⁴. The derivation never changes: recorded runs depend on it.

use sha2::{Digest, Sha256};

/// The seed of the stream for one step of one stage in one process.
///
/// `seed` is the run's; `stage` any name that tells uses apart (`"rl/rollout"`); `step` and
/// `process` count from 0.
///
/// ```no_run
/// use prorl_host::random_streams::stream;
/// assert_eq!(stream(1, "rl", 2, 0), stream(1, "rl", 2, 0));
/// assert_ne!(stream(1, "rl", 2, 0), stream(1, "rl", 2, 1));
/// ```
pub fn stream(seed: u64, stage: &str, step: u64, process: u64) -> u64 {
    let digest = Sha256::new()
        .chain_update(b"prorl-stream-1")
        .chain_update(seed.to_le_bytes())
        .chain_update((stage.len() as u64).to_le_bytes())
        .chain_update(stage)
        .chain_update(step.to_le_bytes())
        .chain_update(process.to_le_bytes())
        .finalize();
    digest.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Seeds libtorch's generators, on the CPU and on every CUDA device, with [`stream`].
///
/// To be called at the start of each step. Returns the seed set.
pub fn seed_torch(seed: u64, stage: &str, step: u64, process: u64) -> i64 {
    let stream = stream(seed, stage, step, process).cast_signed();
    tch::manual_seed(stream);
    stream
}

/// The numbers `0..n` in an order that depends on `seed` only (Fisher–Yates over [`SplitMix`]).
pub fn shuffled(n: u32, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    let mut numbers = SplitMix(seed);
    for last in (1..order.len()).rev() {
        let other = numbers.below(last as u64 + 1) as usize;
        order.swap(last, other);
    }
    order
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, and the same on every machine and for ever.
#[derive(Clone, Debug)]
pub struct SplitMix(
    /// The state; any value is a good start.
    pub u64,
);

impl SplitMix {
    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`, each as likely as the other (Lemire 2019); 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            let (number, rest) = ((product >> 64) as u64, product as u64);
            if rest >= bound || rest >= bound.wrapping_neg().checked_rem(bound).unwrap_or(0) {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn every_part_of_the_input_counts() {
        let mut seen = HashSet::new();
        let mut count = 0;
        for seed in [0, 1, 42, u64::MAX] {
            for stage in ["", "r", "rl", "rl/", "imitation"] {
                for step in 0..50 {
                    for process in 0..8 {
                        seen.insert(stream(seed, stage, step, process));
                        count += 1;
                    }
                }
            }
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn the_derivation_is_frozen() {
        // Checked with Python's hashlib and struct.
        assert_eq!(stream(0, "rl", 0, 0), 16045764741537124244);
    }

    #[test]
    fn split_mix_gives_the_published_sequence() {
        let mut numbers = SplitMix(1234567);
        assert_eq!(numbers.bits(), 6457827717110365317);
        assert_eq!(numbers.bits(), 3203168211198807973);
    }

    #[test]
    fn the_same_stream_makes_libtorch_draw_the_same() {
        let draw = |step| {
            seed_torch(7, "rl", step, 0);
            let kind = (tch::Kind::Float, tch::Device::Cpu);
            Vec::<f32>::try_from(tch::Tensor::rand([4], kind)).unwrap()
        };
        assert_ne!(draw(3), draw(4));
        // The generator is the process's: a test beside this one may draw in between.
        assert!((0..100).any(|_| draw(3) == draw(3)));
    }

    #[test]
    fn every_order_of_three_is_as_likely() {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..6000 {
            *counts.entry(shuffled(3, seed)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_shuffle_loses_nothing(n in 0_u32..500, seed: u64) {
            let mut order = shuffled(n, seed);
            prop_assert_eq!(&order, &shuffled(n, seed));
            order.sort_unstable();
            prop_assert_eq!(order, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn below_stays_below(bound in 1_u64.., seed: u64) {
            prop_assert!(SplitMix(seed).below(bound) < bound);
        }
    }
}
