//! The figures that tables show: under which heading, which way is better, how many decimals.

use prorl_sdk::metrics::Direction;

/// A figure of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its key, e.g. `sasrec/ioi@10`.
    pub key: String,
    /// Its heading.
    pub heading: String,
    /// Which way is better.
    pub direction: Direction,
    /// Decimals shown.
    pub decimals: usize,
}

impl Figure {
    fn new(key: String, heading: &str, direction: Direction, decimals: usize) -> Self {
        Self { key, heading: heading.into(), direction, decimals }
    }

    /// A figure by its key, headed by it; what is not known has no better way.
    pub fn named(key: &str) -> Self {
        let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        let known = SHAPES.iter().find(|(known, _, _)| name.trim_end_matches("_max") == *known);
        let (direction, decimals) =
            known.map_or((Direction::None, 4), |&(_, direction, decimals)| (direction, decimals));
        Self::new(key.into(), key, direction, decimals)
    }
}

/// Better way and decimals of every metric.
const SHAPES: [(&str, Direction, usize); 17] = [
    ("ioi", Direction::Up, 3),
    ("ior", Direction::Up, 1),
    ("ctr", Direction::Up, 3),
    ("success", Direction::Up, 4),
    ("success_gain", Direction::Up, 4),
    ("reciprocal_rank_gain", Direction::Up, 4),
    ("ior_filtered", Direction::Up, 1),
    ("log_perplexity", Direction::Down, 3),
    ("coherence", Direction::Up, 3),
    ("error", Direction::Down, 4),
    ("length", Direction::None, 2),
    ("repeats", Direction::Down, 4),
    ("distinct", Direction::None, 0),
    ("hit", Direction::None, 4),
    ("coverage", Direction::None, 3),
    ("gini", Direction::None, 3),
    ("length_share", Direction::None, 3),
];

fn headed(key: String, heading: &str) -> Figure {
    Figure { heading: heading.into(), ..Figure::named(&key) }
}

/// What counts first: the best beam cut to `cutoff` items, by every evaluator.
pub fn main(evaluators: &[String], cutoff: i64) -> Vec<Figure> {
    let rewards = [("ioi", "IoI"), ("ior", "IoR"), ("ctr", "CTR")];
    let by = |name: &String| {
        rewards.map(|(key, heading)| headed(format!("{name}/{key}@{cutoff}"), &format!("{name} {heading}")))
    };
    let mut all: Vec<Figure> = evaluators.iter().flat_map(by).collect();
    all.push(headed(format!("coherence@{cutoff}"), "Coherence"));
    all.push(headed(format!("error@{cutoff}"), "Error"));
    all.push(headed("length".into(), "Length"));
    all.push(headed("distinct".into(), "Distinct"));
    all
}

/// Whether a path repeats itself or names its target.
pub fn of_paths(cutoff: i64) -> Vec<Figure> {
    vec![headed("repeats".into(), "Repeats"), headed(format!("hit@{cutoff}"), "Hit")]
}

/// What the method does not ask for: success, reciprocal rank, filtered rank, perplexity; then coverage.
pub fn further(evaluators: &[String], cutoffs: &[i64]) -> Vec<Figure> {
    let largest = cutoffs.iter().copied().max().unwrap_or(1);
    let mut all = Vec::new();
    for name in evaluators {
        for k in cutoffs {
            all.push(headed(format!("{name}/success@{k}"), &format!("{name} success@{k}")));
            all.push(headed(format!("{name}/success_gain@{k}"), &format!("{name} success gain@{k}")));
        }
        for (key, heading) in [
            ("reciprocal_rank_gain", "1/rank gain"),
            ("ior_filtered", "IoR filtered"),
            ("log_perplexity", "log-perplexity"),
        ] {
            all.push(headed(format!("{name}/{key}@{largest}"), &format!("{name} {heading}")));
        }
    }
    all.push(headed("coverage".into(), "Coverage"));
    all.push(headed("gini".into(), "Gini"));
    all
}

/// Share of best beams with 0, 1, …, `most` items.
pub fn lengths(most: i64) -> Vec<Figure> {
    let mean = headed("length".into(), "mean");
    let shares = (0..=most).map(|items| headed(format!("length_share@{items}"), &items.to_string()));
    std::iter::once(mean).chain(shares).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_which_way_is_better() {
        assert_eq!(Figure::named("gru4rec/log_perplexity@5").direction, Direction::Down);
        assert_eq!(Figure::named("sasrec/ior_max@10").decimals, 1);
        assert_eq!(Figure::named("of-my-own").direction, Direction::None);
    }

    #[test]
    fn no_figure_is_shown_twice() {
        let (names, cutoffs) = (["a".to_owned(), "b".to_owned()], [1, 10]);
        let all = [main(&names, 10), of_paths(10), further(&names, &cutoffs)].concat();
        let mut keys: Vec<&str> = all.iter().map(|figure| figure.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
    }
}
