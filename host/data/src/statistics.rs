//! Figures about a data set.

use crate::catalogue::Catalogue;
use crate::dataset::{Dataset, Example};
use serde::Serialize;
use std::collections::BTreeMap;

/// Figures about a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The data set's name.
    pub name: String,
    /// Users of the whole data set, as far as the files tell.
    pub users: usize,
    /// Items of the catalogue.
    pub items: usize,
    /// Interactions that were kept; of published files, items of all training sequences.
    pub interactions: usize,
    /// Share of user-item pairs without interaction.
    pub sparsity: f64,
    /// Distinct attributes.
    pub attributes: usize,
    /// Items that have no attribute, and so cohere with nothing.
    pub items_without_attributes: usize,
    /// Training sequences of reward models.
    pub sequences: usize,
    /// Mean length of these, in items.
    pub mean_sequence_length: f64,
    /// Training examples.
    pub train: SplitStats,
    /// Validation examples.
    pub validation: SplitStats,
    /// Test examples.
    pub test: SplitStats,
}

/// Figures about the examples of one split. Shares are in [0, 1], and 0 where there is nothing to share.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SplitStats {
    /// Examples.
    pub examples: usize,
    /// Mean length of a path with its target, in items (the papers' "path length").
    pub mean_path_length: f64,
    /// How many paths have a length, target included.
    pub path_lengths: BTreeMap<usize, usize>,
    /// Neighbouring pairs among the items of a path.
    pub path_pairs: usize,
    /// How many of these share an attribute.
    pub coherent_path_pairs: usize,
    /// Share of paths' last items that share an attribute with the target; low where targets are drawn at random.
    pub target_coherence: f64,
    /// Share of first path items (or targets) that share an attribute with the last of the history; 0 where runs are
    /// maximal.
    pub start_coherence: f64,
    /// Examples whose target stands in the history.
    pub targets_in_history: usize,
}

impl Stats {
    /// Figures about `dataset`.
    pub fn of(dataset: &Dataset) -> Self {
        let catalogue = &dataset.catalogue;
        let pairs = dataset.users as f64 * catalogue.len() as f64;
        let bare = (1..=catalogue.len() as u32).filter(|&item| catalogue.attributes(item).is_empty());
        Self {
            name: dataset.name.clone(),
            users: dataset.users,
            items: catalogue.len(),
            interactions: dataset.interactions,
            sparsity: if pairs > 0.0 { 1.0 - dataset.interactions as f64 / pairs } else { 0.0 },
            attributes: catalogue.attribute_names().len(),
            items_without_attributes: bare.count(),
            sequences: dataset.sequences.len(),
            mean_sequence_length: share(dataset.sequences.items().len(), dataset.sequences.len()),
            train: SplitStats::of(&dataset.train, catalogue),
            validation: SplitStats::of(&dataset.validation, catalogue),
            test: SplitStats::of(&dataset.test, catalogue),
        }
    }
}

impl SplitStats {
    /// Figures about `examples`.
    pub fn of(examples: &[Example], catalogue: &Catalogue) -> Self {
        let mut stats = Self { examples: examples.len(), ..Self::default() };
        let (mut length, mut with_path, mut at_target, mut at_start) = (0, 0, 0, 0);
        for example in examples {
            *stats.path_lengths.entry(example.path.len() + 1).or_default() += 1;
            length += example.path.len() + 1;
            stats.path_pairs += example.path.len().saturating_sub(1);
            let coherent = |pair: &&[u32]| catalogue.share_attribute(pair[0], pair[1]);
            stats.coherent_path_pairs += example.path.windows(2).filter(coherent).count();
            if let Some(&last) = example.path.last() {
                with_path += 1;
                at_target += usize::from(catalogue.share_attribute(last, example.target));
            }
            if let (Some(&last), Some(first)) = (example.history.last(), example.path_and_target().next()) {
                at_start += usize::from(catalogue.share_attribute(last, first));
            }
            stats.targets_in_history += usize::from(example.history.contains(&example.target));
        }
        stats.mean_path_length = share(length, examples.len());
        stats.target_coherence = share(at_target, with_path);
        stats.start_coherence = share(at_start, examples.len());
        stats
    }

    /// Share of neighbouring pairs among path items that share an attribute.
    pub fn path_coherence(&self) -> f64 {
        share(self.coherent_path_pairs, self.path_pairs)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::CatalogueBuilder;

    #[test]
    fn a_worked_example() {
        let mut builder = CatalogueBuilder::new(&[]);
        for (item, attribute) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "b")] {
            builder.add(item, "", [attribute]);
        }
        let example = |history: &[u32], path: &[u32], target| Example {
            user: None,
            history: history.to_vec(),
            path: path.to_vec(),
            target,
        };
        let examples = [example(&[1, 4], &[1, 2, 3], 4), example(&[3], &[], 3)];
        let stats = SplitStats::of(&examples, &builder.finish());
        assert_eq!((stats.mean_path_length, stats.path_pairs, stats.path_coherence()), (2.5, 2, 0.5));
        assert_eq!((stats.target_coherence, stats.start_coherence, stats.targets_in_history), (1.0, 0.5, 2));
        assert_eq!(stats.path_lengths, BTreeMap::from([(1, 1), (4, 1)]));
    }
}
