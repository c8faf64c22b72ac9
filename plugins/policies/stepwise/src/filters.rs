//! What sampling leaves out: all but the likeliest choices.

use tch::{Kind, Tensor};

/// Log-probabilities of the `top_k` likeliest choices (0: all), and of those only the likeliest that hold `top_p` of
/// the probability (1: all); minus infinity elsewhere, not normalised again. // [.., C]
pub fn likeliest(log_probs: &Tensor, top_k: i64, top_p: f64) -> Tensor {
    let choices = log_probs.size().last().copied().unwrap_or(1);
    let mut kept = log_probs.shallow_clone();
    if top_k > 0 && top_k < choices {
        let least = kept.topk(top_k, -1, true, true).0.narrow(-1, top_k - 1, 1); // [.., 1]
        kept = kept.masked_fill(&kept.lt_tensor(&least), f64::NEG_INFINITY);
    }
    if top_p < 1.0 {
        let (sorted, order) = kept.softmax(-1, Kind::Float).sort(-1, true);
        let before = sorted.cumsum(-1, Kind::Float) - &sorted; // [.., C]
        let beyond = before.ge(top_p).logical_and(&before.gt(0.0)); // the likeliest always stays
        let beyond = beyond.zeros_like().scatter(-1, &order, &beyond);
        kept = kept.masked_fill(&beyond, f64::NEG_INFINITY);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(top_k: i64, top_p: f64) -> Vec<bool> {
        let log_probs = Tensor::from_slice(&[0.1f32, 0.5, 0.4]).log();
        (0..3).map(|choice| likeliest(&log_probs, top_k, top_p).double_value(&[choice]).is_finite()).collect()
    }

    #[test]
    fn the_likeliest_stay() {
        assert_eq!(kept(0, 1.0), [true, true, true]);
        assert_eq!(kept(2, 1.0), [false, true, true]);
        assert_eq!(kept(0, 0.45), [false, true, false]);
        assert_eq!(kept(0, 0.6), [false, true, true]);
        assert_eq!(kept(0, 0.0), [false, true, false]);
    }
}
