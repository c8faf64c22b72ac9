//! Dropout of probabilities, drawn again in the backward pass instead of kept.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use tch::{Device, Kind, Tensor};

/// Values of a decision's 16 bits.
const STEPS: f64 = 65536.0;

/// How a call drops.
#[derive(Clone, Copy)]
pub struct Dropping {
    seed: u64,
    /// Values, of 65536, that drop.
    dropped: u16,
    /// What the others are multiplied by.
    kept: f32,
}

/// The decisions of one head over one sequence.
pub struct Decisions {
    generator: Xoshiro256PlusPlus,
    dropped: u16,
    kept: f32,
}

impl Dropping {
    /// Drops `share`, in [0, 1), to the nearest 65536th; nothing where that is 0. What is drawn follows from libtorch's
    /// generator.
    pub fn new(share: f64) -> Option<Self> {
        let dropped = (share * STEPS).round().min(STEPS - 1.0);
        (dropped > 0.0).then(|| Self {
            seed: Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]) as u64,
            dropped: dropped as u16,
            kept: (STEPS / (STEPS - dropped)) as f32,
        })
    }

    /// The same at every call.
    pub fn decisions(&self, sequence: usize, head: usize) -> Decisions {
        let place = ((sequence as u64) << 16) | head as u64;
        // Seeding spreads the bits of its argument over the whole state.
        let generator =
            Xoshiro256PlusPlus::seed_from_u64(self.seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Decisions { generator, dropped: self.dropped, kept: self.kept }
    }
}

impl Decisions {
    /// Factors of the next query's probabilities.
    pub fn fill(&mut self, factors: &mut [f32]) {
        for four in factors.chunks_mut(4) {
            let number = self.generator.next_u64();
            for (index, factor) in four.iter_mut().enumerate() {
                let decision = (number >> (16 * index)) as u16;
                *factor = if decision < self.dropped { 0.0 } else { self.kept };
            }
        }
    }
}
