//! Temperature, top-k and top-p, in the order and with the ties of Hugging Face 4.45.2 (peers, section 2.3).

use prorl_sdk::policy::Decoding;
use tch::{Kind, Tensor};

/// Probabilities to sample from. // [N, C]
pub fn probabilities(log_probs: &Tensor, decoding: &Decoding) -> Tensor {
    if decoding.temperature == 1.0 && decoding.top_k == 0 && decoding.top_p >= 1.0 {
        return log_probs.exp();
    }
    // Not in place: the policy's own log-probabilities are read again.
    let mut scores = log_probs / decoding.temperature;
    if decoding.top_k > 0 {
        let count = decoding.top_k.min(scores.size()[1]);
        let least = scores.topk(count, -1, true, true).0.narrow(1, count - 1, 1); // ties of the last are kept
        scores = scores.masked_fill(&scores.lt_tensor(&least), f64::NEG_INFINITY);
    }
    if decoding.top_p < 1.0 {
        scores = nucleus(&scores, decoding.top_p);
    }
    scores.softmax(-1, None::<Kind>)
}

/// Bars the least likely choices that together have at most `1 - top_p`; the likeliest stays.
fn nucleus(scores: &Tensor, top_p: f64) -> Tensor {
    let (sorted, order) = scores.sort(-1, false);
    let barred = sorted.softmax(-1, None::<Kind>).cumsum(-1, None::<Kind>).le(1.0 - top_p); // [N, C]
    let _ = barred.narrow(1, scores.size()[1] - 1, 1).fill_(0);
    scores.masked_fill(&barred.scatter(1, &order, &barred), f64::NEG_INFINITY)
}

/// One choice a row; never one of probability 0. // [N]
///
/// On the processor by inversion, one random number a row; elsewhere by the race of exponentials, whose
/// order of summation does not matter.
pub fn draw(probabilities: &Tensor) -> Tensor {
    if probabilities.device() != tch::Device::Cpu {
        let race = probabilities.empty_like().exponential_(1.0);
        return (probabilities / race).argmax(-1, false);
    }
    let sums = probabilities.cumsum(-1, Kind::Double); // [N, C], flat over what has probability 0
    let total = sums.narrow(1, sums.size()[1] - 1, 1);
    let point = total.empty_like().uniform_(0.0, 1.0).clamp_max(1.0 - f64::EPSILON) * total; // below the total
    sums.le_tensor(&point).sum_dim_intlist(-1, false, Kind::Int64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(decoding: &Decoding) -> Vec<bool> {
        let scores = Tensor::from_slice(&[0.1_f64, 0.4, 0.2, 0.2, 0.1, 0.0]).log().unsqueeze(0);
        Vec::try_from(probabilities(&scores, decoding).gt(0.0).squeeze()).unwrap()
    }

    #[test]
    fn what_is_filtered_stays_as_it_is() {
        let log_probs = Tensor::from_slice(&[0.5_f64, 0.25, 0.25]).log().unsqueeze(0);
        let before = log_probs.copy();
        let decoding = Decoding { temperature: 0.5, top_k: 2, top_p: 0.5, ..Decoding::sample(1) };
        let _ = probabilities(&log_probs, &decoding);
        assert_eq!(log_probs, before);
    }

    #[test]
    fn top_k_keeps_ties() {
        let decoding = Decoding { top_k: 2, ..Decoding::sample(1) };
        assert_eq!(kept(&decoding), [false, true, true, true, false, false]);
    }

    #[test]
    fn top_p_keeps_the_likeliest() {
        assert_eq!(kept(&Decoding { top_p: 0.0, ..Decoding::sample(1) }), [false, true, false, false, false, false]);
        assert_eq!(kept(&Decoding { top_p: 0.75, ..Decoding::sample(1) }), [false, true, true, true, false, false]);
    }

    #[test]
    fn draws_have_their_probabilities() {
        tch::manual_seed(1);
        let wanted = Tensor::from_slice(&[0.0_f64, 0.5, 0.0, 0.3, 0.2, 0.0]);
        let counts = draw(&wanted.expand([40_000, 6], false)).bincount(None::<&Tensor>, 6);
        let off = (counts / 40_000.0 - &wanted).abs().max().double_value(&[]);
        assert!(off < 0.01, "off by {off}");
        assert_eq!(draw(&wanted.expand([40_000, 6], false)).eq(0).sum(Kind::Int64).int64_value(&[]), 0);
    }
}
