//! What is subtracted from a return so that gradients vary less: means over a prompt's group of paths.
//!
//! Returns of paths are `[B, G]` with a mask `counted` `[B, G]`; returns of positions are `[B, G, P + 1]` with the
//! mask [`actions::active`](crate::actions::active).

use crate::masked;
use crate::prompts::Paths;
use tch::Tensor;

/// Paths with at least one item; the others are out (method, section 6.4). // [B, G] bool
pub fn counted(paths: &Paths) -> Tensor {
    paths.length.gt(0)
}

/// Mean return of the group's paths active at each position (method, section 6.5). // [B, 1, P + 1]
pub fn position_mean(returns: &Tensor, active: &Tensor) -> Tensor {
    masked::mean_over(returns, active, 1)
}

/// Mean return of the group's paths. // [B, 1]
pub fn group_mean(returns: &Tensor, counted: &Tensor) -> Tensor {
    masked::mean_over(returns, counted, 1)
}

/// Mean return of the *other* paths of the group (RLOO, Kool et al. 2019), 0 for a path without others: a baseline
/// that does not depend on the path itself. // [B, G]
pub fn leave_one_out(returns: &Tensor, counted: &Tensor) -> Tensor {
    let own = masked::keep(returns, counted); // [B, G]
    let others = counted.sum_dim_intlist(1, true, returns.kind()) - counted.to_kind(returns.kind()); // [B, G]
    (own.sum_dim_intlist(1, true, returns.kind()) - own) / others.clamp_min(1.0)
}

/// `(R − mean) / (σ + ε)` over the group (GRPO, Shao et al. 2024, section 4.1.2) with unbiased σ, 0 for paths that do
/// not count. // [B, G]
pub fn group_normalised(returns: &Tensor, counted: &Tensor, epsilon: f64) -> Tensor {
    let deviation = masked::variance_over(returns, counted, 1).sqrt(); // [B, 1]
    masked::keep(&((returns - group_mean(returns, counted)) / (deviation + epsilon)), counted)
}

/// Share of groups whose paths all have the same return: they teach nothing. // scalar
pub fn zero_variance_groups(returns: &Tensor, counted: &Tensor) -> Tensor {
    let out = counted.logical_not(); // [B, G]
    let highest = returns.masked_fill(&out, f64::NEG_INFINITY).amax(1, false); // [B]
    let lowest = returns.masked_fill(&out, f64::INFINITY).amin(1, false); // [B]
    let rounding = highest.abs().clamp(1.0, 1e30) * 1e-6; // [B]
    (highest - lowest).le_tensor(&rounding).to_kind(returns.kind()).mean(returns.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns() -> Tensor {
        Tensor::from_slice(&[1.0, 3.0, 8.0, f64::NAN, 5.0, f64::NAN]).view([2, 3])
    }

    fn mask() -> Tensor {
        Tensor::from_slice(&[true, true, true, false, true, false]).view([2, 3])
    }

    #[test]
    fn means_ignore_what_does_not_count() {
        assert_eq!(group_mean(&returns(), &mask()), Tensor::from_slice(&[4.0, 5.0]).view([2, 1]));
        let positions = Tensor::stack(&[returns(), returns() * 2.0], -1); // [2, 3, 2]
        let active = mask().unsqueeze(-1).expand([2, 3, 2], false);
        let expected = Tensor::from_slice(&[4.0, 8.0, 5.0, 10.0]).view([2, 1, 2]);
        assert_eq!(position_mean(&positions, &active), expected);
    }

    #[test]
    fn leave_one_out_by_hand() {
        let baseline = masked::keep(&leave_one_out(&returns(), &mask()), &mask());
        assert_eq!(baseline, Tensor::from_slice(&[5.5, 4.5, 2.0, 0.0, 0.0, 0.0]).view([2, 3]));
    }

    /// `R − leave-one-out mean = n / (n − 1) · (R − group mean)`.
    #[test]
    fn leave_one_out_is_the_group_mean_stretched() {
        let returns = Tensor::from_slice(&[1.0, 3.0, 8.0]).view([1, 3]);
        let all = returns.isfinite();
        let stretched = (&returns - group_mean(&returns, &all)) * 1.5;
        let difference: Tensor = stretched - (&returns - leave_one_out(&returns, &all));
        assert!(difference.abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn normalised_groups_have_mean_0_and_deviation_1() {
        let normalised = group_normalised(&returns(), &mask(), 0.0);
        let first = normalised.get(0);
        assert!(first.mean(tch::Kind::Double).abs().double_value(&[]) < 1e-12);
        assert!((first.std(true).double_value(&[]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_group_of_one_is_normalised_to_0() {
        let normalised = group_normalised(&returns(), &mask(), 1e-4);
        assert_eq!(normalised.get(1), Tensor::from_slice(&[0.0, 0.0, 0.0]));
    }

    #[test]
    fn groups_without_spread_are_found() {
        let returns = Tensor::from_slice(&[2.0, 2.0, 7.0, 1.0, 3.0, 5.0, 4.0, 4.0, 4.0]).view([3, 3]);
        let counted = Tensor::from_slice(&[1_i64, 1, 0, 1, 1, 1, 0, 0, 0]).view([3, 3]).eq(1);
        let share = zero_variance_groups(&returns, &counted).double_value(&[]);
        assert!((share - 2.0 / 3.0).abs() < 1e-12, "{share}");
    }
}
