//! What an evaluator sees of a path beside its rewards, cut to its first items.

use super::path_metrics::EPSILON;
use prorl_sdk::path_details::PathDetails;
use prorl_sdk::prompts::Paths;
use tch::{Kind, Tensor};

/// An evaluator's details of paths.
pub struct Details {
    /// Ranks gained by the target among the items that are neither in the history nor on the path. // [B, K]
    pub ior_filtered: Tensor,
    /// Mean of `−ln(p + 1e-10)` over the valid items, each as the next one after all before it; 0 without any, nats.
    /// // [B, K]
    pub log_perplexity: Tensor,
}

/// Looks at details of paths cut to their first `cut` positions.
pub fn details(paths: &Paths, found: &PathDetails, cut: i64) -> Details {
    let cut = cut.min(paths.items.size()[2]);
    let last = paths.length.clamp_max(cut).unsqueeze(-1); // [B, K, 1]
    let rank = found.filtered_rank.to_kind(Kind::Float); // [B, K, P + 1]
    let valid = paths.items.narrow(2, 0, cut).gt(0).to_kind(Kind::Float); // [B, K, cut]
    let surprise = -(found.item_log_prob.narrow(2, 0, cut).exp() + EPSILON).log() * &valid; // [B, K, cut]
    let sum = |values: &Tensor| values.sum_dim_intlist(-1, false, Kind::Float); // [B, K]
    Details {
        ior_filtered: rank.select(2, 0) - rank.gather(2, &last, false).squeeze_dim(-1),
        log_perplexity: sum(&surprise) / sum(&valid).clamp_min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_form() {
        // Two items of probability 1/2 and 1/8, then a code that is no item; a path without items.
        let paths = Paths {
            items: Tensor::from_slice(&[4i64, 7, 0, 0, 0, 0]).view([1, 2, 3]),
            length: Tensor::from_slice(&[3i64, 0]).view([1, 2]),
            stopped: Tensor::from_slice(&[false, true]).view([1, 2]),
            tokens: None,
        };
        let found = PathDetails {
            item_log_prob: Tensor::from_slice(&[0.5f32.ln(), 0.125f32.ln(), 0.0, 0.0, 0.0, 0.0]).view([1, 2, 3]),
            filtered_rank: Tensor::from_slice(&[9i64, 6, 2, 2, 9, 9, 9, 9]).view([1, 2, 4]),
        };
        let whole = details(&paths, &found, 10);
        let two = 2f64.ln();
        assert!((whole.log_perplexity.double_value(&[0, 0]) - 2.0 * two).abs() < 1e-6); // (1 + 3) ln 2 / 2
        assert_eq!(whole.log_perplexity.double_value(&[0, 1]), 0.0);
        assert_eq!(whole.ior_filtered, Tensor::from_slice(&[7f32, 0.0]).view([1, 2]));
        let cut = details(&paths, &found, 1);
        assert!((cut.log_perplexity.double_value(&[0, 0]) - two).abs() < 1e-6);
        assert_eq!(cut.ior_filtered.double_value(&[0, 0]), 3.0);
    }

    #[test]
    fn an_impossible_item_is_one_in_ten_billion() {
        let paths = Paths::from_items(Tensor::from_slice(&[4i64]).view([1, 1, 1]));
        let found = PathDetails {
            item_log_prob: Tensor::from_slice(&[f32::NEG_INFINITY]).view([1, 1, 1]),
            filtered_rank: Tensor::from_slice(&[1i64, 1]).view([1, 1, 2]),
        };
        let surprise = details(&paths, &found, 1).log_perplexity.double_value(&[0, 0]);
        assert!((surprise - 1e10f64.ln()).abs() < 1e-4, "{surprise}");
    }
}
