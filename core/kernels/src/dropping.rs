//! What a call drops, drawn again in the backward pass instead of kept.

use crate::lanes::{LANES, store};
use prorl_sdk::dropout::{Decision, seed};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use std::arch::x86_64::{
    __m256i, _mm256_and_ps, _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmpeq_epi16, _mm256_cvtepi16_epi32,
    _mm256_extracti128_si256, _mm256_max_epu16, _mm256_set1_epi16, _mm256_set1_ps,
};

/// How a call drops.
#[derive(Clone, Copy)]
pub struct Dropping {
    seed: u64,
    decision: Decision,
}

/// The decisions at one place of a call.
pub struct Decisions {
    generators: Generators,
    decision: Decision,
}

impl Dropping {
    /// Drops a share, as [`Decision::of`] says; what is drawn follows from libtorch's generator.
    pub fn new(share: f64) -> Option<Self> {
        Decision::of(share).map(|decision| Self { seed: seed(), decision })
    }

    /// The same at every call, whoever asks: places are worked on side by side.
    pub fn decisions(&self, place: u64) -> Decisions {
        let seed = self.seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Decisions { generators: Generators::new(seed), decision: self.decision }
    }

    /// What is kept is multiplied by this.
    pub fn scale(&self) -> f32 {
        self.decision.kept as f32
    }
}

impl Decisions {
    /// How many are drawn at once.
    pub const TOGETHER: usize = 2 * LANES;

    /// Factors of the next numbers, 0 or the scale of what is kept, of whole groups of [`Self::TOGETHER`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn fill(&mut self, factors: &mut [f32]) {
        let kept = _mm256_set1_ps(self.decision.kept as f32);
        let least = _mm256_set1_epi16(self.decision.dropped as i16);
        debug_assert_eq!(factors.len() % Self::TOGETHER, 0);
        for factors in factors.chunks_exact_mut(Self::TOGETHER) {
            let bits: __m256i = bytemuck::cast(self.generators.next());
            let keeps = _mm256_cmpeq_epi16(_mm256_max_epu16(bits, least), bits); // bits of at least `dropped`
            let halves = [_mm256_castsi256_si128(keeps), _mm256_extracti128_si256::<1>(keeps)];
            for (factors, keeps) in factors.chunks_exact_mut(LANES).zip(halves) {
                store(factors, _mm256_and_ps(_mm256_castsi256_ps(_mm256_cvtepi16_epi32(keeps)), kept));
            }
        }
    }
}

/// Four generators side by side: xoshiro256++ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM
/// TOMS 47, 2021), a lane each.
struct Generators([[u64; 4]; 4]);

impl Generators {
    fn new(seed: u64) -> Self {
        // Spreads the bits of its seed over all states.
        let mut words = SplitMix64::seed_from_u64(seed);
        Self(std::array::from_fn(|_| std::array::from_fn(|_| words.next_u64())))
    }

    /// The next number of each.
    #[inline(always)]
    fn next(&mut self) -> [u64; 4] {
        let [a, b, c, d] = &mut self.0;
        std::array::from_fn(|lane| {
            let next = a[lane].wrapping_add(d[lane]).rotate_left(23).wrapping_add(a[lane]);
            let shifted = b[lane] << 17;
            c[lane] ^= a[lane];
            d[lane] ^= b[lane];
            b[lane] ^= c[lane];
            a[lane] ^= d[lane];
            c[lane] ^= shifted;
            d[lane] = d[lane].rotate_left(45);
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;

    #[test]
    fn every_lane_is_xoshiro() {
        let mut generators = Generators::new(17);
        let mut lanes: [Xoshiro256PlusPlus; 4] = std::array::from_fn(|lane| {
            let state: [u8; 32] = bytemuck::cast(generators.0.map(|words| words[lane]));
            Xoshiro256PlusPlus::from_seed(state)
        });
        for _ in 0..100 {
            assert_eq!(generators.next(), lanes.each_mut().map(RngCore::next_u64));
        }
    }
}
