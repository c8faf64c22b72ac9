//! Dropout of probabilities, drawn again in the backward pass instead of kept.

use prorl_sdk::dropout::{Decision, seed};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// How a call drops.
#[derive(Clone, Copy)]
pub struct Dropping {
    seed: u64,
    decision: Decision,
}

/// The decisions of one head over one sequence.
pub struct Decisions {
    generator: Xoshiro256PlusPlus,
    decision: Decision,
}

impl Dropping {
    /// Drops a share, as [`Decision::of`] says; what is drawn follows from libtorch's generator.
    pub fn new(share: f64) -> Option<Self> {
        Decision::of(share).map(|decision| Self { seed: seed(), decision })
    }

    /// The same at every call.
    pub fn decisions(&self, sequence: usize, head: usize) -> Decisions {
        let place = ((sequence as u64) << 16) | head as u64;
        // Seeding spreads the bits of its argument over the whole state.
        let generator =
            Xoshiro256PlusPlus::seed_from_u64(self.seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Decisions { generator, decision: self.decision }
    }
}

impl Decisions {
    /// Factors of the next query's probabilities.
    pub fn fill(&mut self, factors: &mut [f32]) {
        let Decision { dropped, kept } = self.decision;
        for four in factors.chunks_mut(4) {
            let number = self.generator.next_u64();
            for (index, factor) in four.iter_mut().enumerate() {
                let decision = (number >> (16 * index)) as u16;
                *factor = if decision < dropped { 0.0 } else { kept as f32 };
            }
        }
    }
}
