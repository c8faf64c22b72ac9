//! Users are dealt to training, validation and test.

use crate::hash::unit_interval;

/// The part of the data that a user belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Learnt from.
    Train,
    /// Selected on.
    Validation,
    /// Reported on.
    Test,
}

/// The part of a user, from shares that sum to 1. It depends on the user's id and the seed alone, so adding users
/// moves nobody.
pub fn part_of(user: &str, shares: [f64; 3], seed: u64) -> Part {
    let place = unit_interval(seed, "split", user);
    if place < shares[0] {
        Part::Train
    } else if place < shares[0] + shares[1] || shares[2] == 0.0 {
        Part::Validation
    } else {
        Part::Test
    }
}

/// Whether a user is held out for validation where a data set lacks one of its files.
pub fn is_held_out(user: &str, share: f64, seed: u64) -> bool {
    unit_interval(seed, "held out", user) < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met_and_seeds_matter() {
        let parts = |seed| (0..5000).map(|user| part_of(&user.to_string(), [0.8, 0.1, 0.1], seed)).collect::<Vec<_>>();
        let first = parts(1);
        for (part, share) in [(Part::Train, 4000.0), (Part::Validation, 500.0), (Part::Test, 500.0)] {
            let count = first.iter().filter(|&&it| it == part).count() as f64;
            assert!((count - share).abs() < 80.0, "{part:?} {count}");
        }
        assert_eq!(first, parts(1));
        assert_ne!(first, parts(2));
    }

    #[test]
    fn an_empty_share_gets_nobody() {
        let all = (0..500).map(|user| part_of(&user.to_string(), [0.5, 0.5, 0.0], 1));
        assert!(all.into_iter().all(|part| part != Part::Test));
        assert!((0..500).all(|user| !is_held_out(&user.to_string(), 0.0, 1)));
    }
}
