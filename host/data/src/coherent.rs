//! Coherent runs: the pieces of a user's sequence that become examples.
//!
//! Two neighbours are coherent if they share an attribute. A sequence is cut wherever neighbours are not; the pieces
//! are its maximal coherent runs. A run of `min_run..=max_run` items with at least `history` items before it is an
//! example: the items before it are the history, its last item the target, the rest the path (ProRL, section on
//! smooth-guided data). Longer runs give no example: the published files show no pile-up at the longest length, so
//! they were not cut down, and their first path item never coheres with the last history item, so they are maximal.

use std::ops::Range;

/// What makes a run an example. Lengths in items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRules {
    /// Items that precede the run.
    pub history: usize,
    /// Fewest items of a run, target included.
    pub min_run: usize,
    /// Most items of a run, target included.
    pub max_run: usize,
}

/// An example as places in the sequence it was cut from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The history.
    pub history: Range<usize>,
    /// Path and, last, the target.
    pub run: Range<usize>,
}

/// The maximal coherent runs of a sequence, in order; together they cover it.
///
/// With items that cohere when they are equally even, `[2, 4, 5, 6]` has the runs `[2, 4]`, `[5]`, `[6]`:
///
/// ```
/// let runs = prorl_data::coherent::runs(&[2, 4, 5, 6], |a, b| a % 2 == b % 2);
/// assert_eq!(runs.collect::<Vec<_>>(), [0..2, 2..3, 3..4]);
/// ```
pub fn runs(items: &[u32], coherent: impl Fn(u32, u32) -> bool) -> impl Iterator<Item = Range<usize>> {
    items.chunk_by(move |&a, &b| coherent(a, b)).scan(0, |start, run| {
        let from = *start;
        *start += run.len();
        Some(from..*start)
    })
}

/// The examples of a sequence, in order.
pub fn cuts(items: &[u32], coherent: impl Fn(u32, u32) -> bool, rules: RunRules) -> impl Iterator<Item = Cut> {
    let lengths = rules.min_run..=rules.max_run;
    runs(items, coherent)
        .filter(move |run| lengths.contains(&run.len()) && run.start >= rules.history)
        .map(move |run| Cut { history: run.start - rules.history..run.start, run })
}

/// Every coherent run that ends where a maximal one ends, with at least one item and at most `history` before it.
///
/// Where [`cuts`] finds one example, these are up to `max_run - 1`; all lead to the same target.
pub fn sub_runs(items: &[u32], coherent: impl Fn(u32, u32) -> bool, rules: RunRules) -> impl Iterator<Item = Cut> {
    runs(items, coherent).flat_map(move |run| {
        let first = run.start.max(1).max(run.end.saturating_sub(rules.max_run));
        let last = (run.end + 1).saturating_sub(rules.min_run);
        (first..last).map(move |start| Cut { history: start.saturating_sub(rules.history)..start, run: start..run.end })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: RunRules = RunRules { history: 2, min_run: 2, max_run: 3 };

    fn same_tens(a: u32, b: u32) -> bool {
        a / 10 == b / 10
    }

    #[test]
    fn a_worked_example() {
        // Runs: 11 12 | 21 | 13 14 | 31 32 33 | 41 42 43 44. The first has no history, the last is too long.
        let items = [11, 12, 21, 13, 14, 31, 32, 33, 41, 42, 43, 44];
        let cuts: Vec<Cut> = cuts(&items, same_tens, RULES).collect();
        assert_eq!(cuts, [Cut { history: 1..3, run: 3..5 }, Cut { history: 3..5, run: 5..8 }]);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(runs(&[], same_tens).count(), 0);
        assert_eq!(cuts(&[11], same_tens, RULES).count(), 0);
    }

    #[test]
    fn sub_runs_of_the_worked_example() {
        let items = [11, 12, 21, 13, 14, 31, 32, 33, 41, 42, 43, 44];
        let found: Vec<Cut> = sub_runs(&items, same_tens, RULES).collect();
        let cut = |history, run| Cut { history, run };
        // 11 12 begins the sequence, so that nothing precedes it; of 41 42 43 44 the last three and the last two fit.
        let expected = [cut(1..3, 3..5), cut(3..5, 5..8), cut(4..6, 6..8), cut(7..9, 9..12), cut(8..10, 10..12)];
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn sub_runs_hold_every_example(items in prop::collection::vec(0u32..40, 0..60)) {
            let found: Vec<Cut> = sub_runs(&items, same_tens, RULES).collect();
            for cut in cuts(&items, same_tens, RULES) {
                prop_assert!(found.contains(&cut));
            }
            for cut in found {
                prop_assert!(cut.history.end == cut.run.start && (1..=RULES.history).contains(&cut.history.len()));
                prop_assert!((2..=RULES.max_run).contains(&cut.run.len()));
                prop_assert!(items[cut.run].windows(2).all(|pair| same_tens(pair[0], pair[1])));
            }
        }

        #[test]
        fn runs_partition_and_are_coherent_and_maximal(items in prop::collection::vec(0u32..40, 0..60)) {
            let runs: Vec<_> = runs(&items, same_tens).collect();
            let covered: Vec<usize> = runs.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..items.len()).collect::<Vec<_>>());
            for run in &runs {
                prop_assert!(items[run.clone()].windows(2).all(|pair| same_tens(pair[0], pair[1])));
            }
            for pair in runs.windows(2) {
                prop_assert!(!same_tens(items[pair[0].end - 1], items[pair[1].start]));
            }
        }

        #[test]
        fn examples_keep_the_rules(items in prop::collection::vec(0u32..40, 0..60)) {
            for cut in cuts(&items, same_tens, RULES) {
                prop_assert_eq!(cut.history.len(), RULES.history);
                prop_assert_eq!(cut.history.end, cut.run.start);
                prop_assert!((RULES.min_run..=RULES.max_run).contains(&cut.run.len()));
                prop_assert!(cut.run.end <= items.len());
            }
        }
    }
}
