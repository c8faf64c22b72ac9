//! Dropout with four decisions from every random number.
//!
//! On the processor libtorch draws one number after the other; imitation would wait for them a fifth of its time.

use tch::{Device, Kind, Tensor};

/// Steps of a decision's 16 bits.
const STEPS: f64 = 65536.0;

/// Zeroes about `share` of `x` (to the nearest 65536th) and scales the rest so that its mean stays.
pub fn dropout(x: &Tensor, share: f64) -> Tensor {
    if x.device() != Device::Cpu {
        return x.dropout(share, true);
    }
    let dropped = (share * STEPS).round(); // of the 65536 values a decision may have
    let count = x.numel() as i64;
    let random = Tensor::empty([(count + 3) / 4], (Kind::Int64, Device::Cpu)).random_from_(i64::MIN, None::<i64>);
    let decisions = random.view_dtype(Kind::Int16).narrow(0, 0, count).view_as(x);
    let kept = decisions.ge(dropped as i64 - STEPS as i64 / 2); // int16 begins at -32768
    x * (kept.to_kind(x.kind()) * (STEPS / (STEPS - dropped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_its_share_and_keeps_the_mean() {
        let ones = Tensor::ones([401, 499], (Kind::Float, Device::Cpu));
        for share in [0.1, 0.5, 0.9] {
            let kept = dropout(&ones, share);
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
        let kept = dropout(&Tensor::ones([400_000], (Kind::Float, Device::Cpu)), 0.5).gt(0.0).to_kind(Kind::Double);
        for lag in 1..9 {
            let here = kept.narrow(0, 0, 400_000 - lag);
            let both = (here * kept.narrow(0, lag, 400_000 - lag)).mean(Kind::Double).double_value(&[]);
            assert!((both - 0.25).abs() < 0.004, "{both} at a distance of {lag}");
        }
    }
}
