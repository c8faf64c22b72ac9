//! From a catalogue and a log of interactions to a data set.

use crate::catalogue::Catalogue;
use crate::coherent::{self, RunRules};
use crate::dataset::{Dataset, Example};
use crate::hash::seed_of;
use crate::interactions::Interactions;
use crate::options::ReadOptions;
use crate::report::ReadReport;
use crate::sequences::Sequences;
use crate::split::{Part, part_of};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a raw data set is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// Its name.
    pub name: String,
    /// Its items.
    pub catalogue: Catalogue,
    /// Who did what when.
    pub interactions: Interactions,
    /// What was read so far.
    pub report: ReadReport,
    /// SHA-256 over all that was read, and the options.
    pub hash: String,
    /// Its own item codes.
    pub semantic_ids: Option<PathBuf>,
    /// Its own embedding matrix.
    pub embeddings: Option<PathBuf>,
}

/// Filters the log, deals users to training, validation and test, and cuts their sequences into examples.
///
/// A test example keeps its whole coherent run as path; its target is drawn from the items that somebody interacted
/// with, but not this user. (All 6,928 targets of the published ML-1M test file are among the 3,043 items that its
/// k-core left, of 3,883 in the catalogue.)
pub fn assemble(parts: Parts, options: &ReadOptions) -> Dataset {
    let Parts { name, mut catalogue, mut interactions, mut report, hash, semantic_ids, embeddings } = parts;
    interactions.filter(options, &mut report);
    let mut seen = seen_items(&interactions);
    if options.drop_unseen_items {
        let known: HashSet<u32> = seen.iter().copied().collect();
        let (kept, new_ids) = catalogue.filtered(|item| known.contains(&item));
        report.drop_counted("items", "no interaction with them", catalogue.len() - kept.len());
        interactions.renumber(&new_ids);
        seen = (1..=kept.len() as u32).collect();
        catalogue = kept;
    }
    let mut dataset = Dataset {
        name,
        catalogue,
        train: Vec::new(),
        validation: Vec::new(),
        test: Vec::new(),
        sequences: Sequences::default(),
        users: 0,
        interactions: interactions.len(),
        semantic_ids,
        embeddings,
        report,
        hash,
    };
    interactions.each_user(|user, items| {
        dataset.users += 1;
        add_user(&mut dataset, user, items, &seen, options);
    });
    warn_if_empty(&mut dataset);
    dataset
}

/// Notes that a split has no example, which most stages cannot do without.
pub(crate) fn warn_if_empty(dataset: &mut Dataset) {
    let Dataset { train, validation, test, report, .. } = dataset;
    for (examples, split) in [(train, "training"), (validation, "validation"), (test, "test")] {
        if examples.is_empty() {
            report.note(format!("there is no {split} example"));
        }
    }
}

fn seen_items(interactions: &Interactions) -> Vec<u32> {
    let highest = interactions.rows().iter().map(|row| row.item).max().unwrap_or(0);
    let mut seen = vec![false; highest as usize + 1];
    interactions.rows().iter().for_each(|row| seen[row.item as usize] = true);
    (0..=highest).filter(|&item| seen[item as usize]).collect()
}

fn add_user(dataset: &mut Dataset, user: &Arc<str>, items: &[u32], seen: &[u32], options: &ReadOptions) {
    let rules = RunRules { history: options.history, min_run: options.min_run, max_run: options.max_run };
    let catalogue = &dataset.catalogue;
    let cuts = coherent::cuts(items, |a, b| catalogue.share_attribute(a, b), rules);
    let example = |history: &[u32], path: &[u32], target| Example {
        user: Some(Arc::clone(user)),
        history: history.to_vec(),
        path: path.to_vec(),
        target,
    };
    let part = part_of(user, options.split, options.seed);
    if part == Part::Train {
        dataset.sequences.push(items.iter().copied());
    }
    // Training users, nearly all of them, have no use for it.
    let own: HashSet<u32> = items.iter().copied().filter(|_| part == Part::Test).collect();
    for cut in cuts {
        let (history, run) = (&items[cut.history], &items[cut.run.clone()]);
        // A test path is the whole run; other paths lack the run's last item, the target.
        if run.len() - usize::from(part != Part::Test) > options.path_items {
            dataset.report.drop_counted("examples", "the path is longer than path_items", 1);
        } else if part == Part::Test {
            match draw_target(user, cut.run.start, seen, &own, options.seed) {
                Some(target) => dataset.test.push(example(history, run, target)),
                None => {
                    dataset.report.drop_counted("examples", "the user knows every item, so no test target is left", 1)
                }
            }
        } else if let [path @ .., target] = run {
            let examples = if part == Part::Train { &mut dataset.train } else { &mut dataset.validation };
            examples.push(example(history, path, *target));
        }
    }
}

/// An item that is new to the user, uniformly; the same for the same user, place, seed and items.
fn draw_target(user: &str, place: usize, seen: &[u32], own: &HashSet<u32>, seed: u64) -> Option<u32> {
    const TRIES: usize = 64;
    let mut random = ChaCha8Rng::seed_from_u64(seed_of(seed, "test target", &format!("{place}:{user}")));
    for _ in 0..TRIES {
        let item = *seen.get(random.random_range(0..seen.len().max(1)))?;
        if !own.contains(&item) {
            return Some(item);
        }
    }
    let new: Vec<u32> = seen.iter().copied().filter(|item| !own.contains(item)).collect();
    new.get(random.random_range(0..new.len().max(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::CatalogueBuilder;
    use proptest::prelude::*;

    /// `users` users with items of their own: item `40 u + k` has attribute `k / 10`.
    fn parts(sequences: &[Vec<u32>]) -> Parts {
        let mut catalogue = CatalogueBuilder::new(&[]);
        let mut interactions = Interactions::default();
        for (user, items) in sequences.iter().enumerate() {
            for item in 0..40 {
                catalogue.add(&format!("{user}-{item}"), "", [["a", "b", "c", "d"][item / 10]]);
            }
            for (time, item) in items.iter().enumerate() {
                interactions.push(&format!("user {user}"), 40 * user as u32 + item + 1, time as f64);
            }
        }
        Parts { catalogue: catalogue.finish(), interactions, ..Parts::default() }
    }

    fn options() -> ReadOptions {
        ReadOptions { history: 2, max_run: 4, split: [0.4, 0.3, 0.3], ..ReadOptions::default() }
    }

    fn all(dataset: &Dataset) -> Vec<&Example> {
        dataset.train.iter().chain(&dataset.validation).chain(&dataset.test).collect()
    }

    #[test]
    fn adding_users_moves_nobody() {
        let sequences: Vec<Vec<u32>> = (0..30).map(|user| (0..30).map(|k| (k * k + user) % 40).collect()).collect();
        let (few, many) = (assemble(parts(&sequences[..20]), &options()), assemble(parts(&sequences), &options()));
        assert!(!few.train.is_empty() && !few.validation.is_empty() && !few.test.is_empty());
        assert!(many.train.starts_with(&few.train));
        assert!(many.validation.starts_with(&few.validation));
    }

    #[test]
    fn unseen_items_leave_on_request() {
        let sequences = vec![vec![0, 1, 11, 12, 2], vec![30, 31, 5, 6]];
        let dataset = assemble(parts(&sequences), &ReadOptions { drop_unseen_items: true, ..options() });
        assert_eq!(dataset.catalogue.len(), 9);
        assert_eq!(dataset.report.dropped_for("items", "no interaction with them"), 71);
        assert_eq!(dataset.interactions, 9);
    }

    proptest! {
        #[test]
        fn no_example_crosses_users(sequences in prop::collection::vec(prop::collection::vec(0u32..40, 0..30), 1..12)) {
            let dataset = assemble(parts(&sequences), &options());
            for (example, is_test) in all(&dataset).into_iter().map(|it| (it, dataset.test.contains(it))) {
                let owner = (example.history[0] - 1) / 40;
                let user = format!("user {owner}");
                prop_assert_eq!(example.user.as_deref(), Some(user.as_str()));
                let run: Vec<u32> = if is_test { example.path.clone() } else { example.path_and_target().collect() };
                prop_assert!(example.history.iter().chain(&run).all(|item| (item - 1) / 40 == owner));
                prop_assert!(run.windows(2).all(|pair| dataset.catalogue.share_attribute(pair[0], pair[1])));
                prop_assert!((2..=4).contains(&run.len()));
            }
        }

        #[test]
        fn test_targets_are_new_to_the_user(sequences in prop::collection::vec(prop::collection::vec(0u32..40, 0..30), 1..12)) {
            let dataset = assemble(parts(&sequences), &ReadOptions { split: [0.0, 0.0, 1.0], ..options() });
            for example in &dataset.test {
                let (user, item) = (example.history[0].div_ceil(40) - 1, example.target - 1);
                prop_assert!(item / 40 != user || !sequences[user as usize].contains(&(item % 40)));
            }
        }
    }
}
