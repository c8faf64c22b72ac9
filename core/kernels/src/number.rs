//! Kinds of numbers that are read and written; in between all is float32.

use half::bf16;
use tch::Kind;

/// A kind of numbers.
pub trait Number: Copy + Default + Send + Sync + 'static {
    /// As libtorch names it.
    const KIND: Kind;

    /// As float32.
    fn widened(self) -> f32;

    /// The nearest number of this kind; of two as near, the one whose last bit is 0.
    fn nearest(number: f32) -> Self;
}

impl Number for f32 {
    const KIND: Kind = Kind::Float;

    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }

    #[inline(always)]
    fn nearest(number: f32) -> Self {
        number
    }
}

// Without a branch, so that the compiler does eight at once.
impl Number for bf16 {
    const KIND: Kind = Kind::BFloat16;

    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn nearest(number: f32) -> Self {
        let bits = number.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let bits = if number.is_nan() { (bits >> 16) | 0x40 } else { rounded };
        Self::from_bits(bits as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_as_everybody_does() {
        let special = [0.0, -0.0, 1.0, 1e-45, -1e-40, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY, f32::NEG_INFINITY];
        let bits = (0..=u16::MAX).flat_map(|high| [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|low| (high, low)));
        let all = bits.map(|(high, low)| f32::from_bits(u32::from(high) << 16 | low)).chain(special);
        for number in all {
            let (ours, theirs) = (<bf16 as Number>::nearest(number), bf16::from_f32(number));
            assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && number.is_nan()), "{number:e}");
            assert!(ours.is_nan() || ours.widened() == theirs.to_f32());
        }
    }
}
