//! From metrics of paths to a policy's figures.

use super::path_metrics::{self, Attributes};
use super::{concentration, path_details};
use prorl_sdk::path_details::PathDetails;
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Figures of one policy, collected batch by batch.
///
/// A figure is named `metric@k` (the best beam cut to `k` items) or `metric_max@k` (the best of the first `k`
/// whole beams); figures of an evaluator carry its name in front: `sasrec/ioi@10`. In `success@k` and
/// `success_gain@k`, `k` is a rank and the path the whole best beam; in `length_share@k` it is the number of items.
pub struct Evaluation {
    cutoffs: Vec<i64>,
    pub(super) per_prompt: BTreeMap<String, Vec<f32>>,
    pub(super) recommended: BTreeMap<i64, u64>,
    known: Vec<i64>,
    largest: i64,
}

impl Evaluation {
    /// No prompts yet; `cutoffs` are the `k` of the figures, `known` the items over which coverage and Gini
    /// coefficient are taken. // [N]
    pub fn new(cutoffs: &[i64], known: &Tensor) -> Self {
        Self {
            cutoffs: cutoffs.to_vec(),
            per_prompt: BTreeMap::new(),
            recommended: BTreeMap::new(),
            known: Vec::<i64>::try_from(known.to_device(tch::Device::Cpu)).unwrap_or_default(),
            largest: cutoffs.iter().copied().max().unwrap_or(1),
        }
    }

    /// Adds what can be seen without an evaluator.
    pub fn add_shapes(&mut self, prompts: &Prompts, paths: &Paths, attributes: &Attributes) {
        for k in self.cutoffs.clone() {
            let best = paths_of_beam(paths, 0, 1);
            let cut = path_metrics::shape(prompts, &best, attributes, k);
            self.add_best(&format!("coherence@{k}"), &cut.coherence);
            self.add_best(&format!("error@{k}"), &cut.error);
            self.add_best(&format!("hit@{k}"), &cut.hit);
            if k == self.largest {
                self.add_best("length", &cut.length);
                self.add_best("repeats", &cut.repeats);
            }
            let beams = paths_of_beam(paths, 0, k.min(paths.items.size()[1]));
            let whole = path_metrics::shape(prompts, &beams, attributes, i64::MAX);
            self.add_max(&format!("coherence_max@{k}"), &whole.coherence);
            self.add_max(&format!("hit_max@{k}"), &whole.hit);
        }
        let best = paths.items.select(1, 0).flatten(0, -1).to_device(tch::Device::Cpu);
        let items = Vec::<i64>::try_from(best).unwrap_or_default();
        for item in items.into_iter().filter(|&item| item > 0) {
            *self.recommended.entry(item).or_default() += 1;
        }
    }

    /// Adds how an evaluator reacts.
    pub fn add_reactions(&mut self, evaluator: &str, paths: &Paths, scores: &PathScores) {
        for k in self.cutoffs.clone() {
            let cut = path_metrics::reaction(paths, scores, k);
            self.add_best(&format!("{evaluator}/ioi@{k}"), &cut.ioi.narrow(1, 0, 1));
            self.add_best(&format!("{evaluator}/ior@{k}"), &cut.ior.narrow(1, 0, 1));
            self.add_best(&format!("{evaluator}/ctr@{k}"), &cut.ctr.narrow(1, 0, 1));
            let whole = path_metrics::reaction(paths, scores, i64::MAX);
            let beams = k.min(paths.items.size()[1]);
            self.add_max(&format!("{evaluator}/ioi_max@{k}"), &whole.ioi.narrow(1, 0, beams));
            self.add_max(&format!("{evaluator}/ior_max@{k}"), &whole.ior.narrow(1, 0, beams));
            self.add_max(&format!("{evaluator}/ctr_max@{k}"), &whole.ctr.narrow(1, 0, beams));
            self.add_best(&format!("{evaluator}/success@{k}"), &whole.success(k));
            self.add_best(&format!("{evaluator}/success_gain@{k}"), &whole.success_gain(k));
            let (gain, most) = (cut.reciprocal_rank_gain(), whole.reciprocal_rank_gain());
            self.add_best(&format!("{evaluator}/reciprocal_rank_gain@{k}"), &gain);
            self.add_max(&format!("{evaluator}/reciprocal_rank_gain_max@{k}"), &most.narrow(1, 0, beams));
        }
    }

    /// Adds what an evaluator tells beside its reactions.
    pub fn add_details(&mut self, evaluator: &str, paths: &Paths, found: &PathDetails) {
        for k in self.cutoffs.clone() {
            let cut = path_details::details(paths, found, k);
            self.add_best(&format!("{evaluator}/ior_filtered@{k}"), &cut.ior_filtered);
            self.add_best(&format!("{evaluator}/log_perplexity@{k}"), &cut.log_perplexity);
            let whole = path_details::details(paths, found, i64::MAX).ior_filtered;
            let beams = k.min(paths.items.size()[1]);
            self.add_max(&format!("{evaluator}/ior_filtered_max@{k}"), &whole.narrow(1, 0, beams));
        }
    }

    fn add_best(&mut self, name: &str, values: &Tensor) {
        self.add(name, &values.select(1, 0));
    }

    fn add_max(&mut self, name: &str, values: &Tensor) {
        self.add(name, &values.amax(1, false));
    }

    fn add(&mut self, name: &str, values: &Tensor) {
        let values = values.to_device(tch::Device::Cpu).to_kind(Kind::Float);
        let values = Vec::<f32>::try_from(values).unwrap_or_default();
        self.per_prompt.entry(name.into()).or_default().extend(values);
    }

    /// Mean over prompts of every figure, and what only all best beams together have: how many distinct items, which
    /// share of the known items, their Gini coefficient, how many have which length.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let mut figures: BTreeMap<String, f64> =
            self.per_prompt.iter().map(|(name, values)| (name.clone(), mean(values))).collect();
        figures.insert("distinct".into(), self.recommended.len() as f64);
        let counts: Vec<u64> = self.known.iter().map(|item| self.recommended.get(item).copied().unwrap_or(0)).collect();
        figures.insert("coverage".into(), concentration::coverage(&counts));
        figures.insert("gini".into(), concentration::gini(&counts));
        figures.extend(self.length_shares());
        figures
    }

    /// Share of the best beams that hold 0, 1, … items, as cut for `length`.
    fn length_shares(&self) -> Vec<(String, f64)> {
        let Some(lengths) = self.per_prompt.get("length") else { return Vec::new() };
        let share = |items: i64| {
            let with = lengths.iter().filter(|&&length| length as i64 == items).count();
            with as f64 / lengths.len().max(1) as f64
        };
        (0..=self.largest).map(|items| (format!("length_share@{items}"), share(items))).collect()
    }

    /// Every figure of every prompt, in the order of the prompts.
    pub fn per_prompt(&self) -> &BTreeMap<String, Vec<f32>> {
        &self.per_prompt
    }

    /// Mean and standard error of a figure's difference to `other`'s, paired over prompts.
    pub fn paired_difference(&self, other: &Evaluation, figure: &str) -> Option<(f64, f64)> {
        let (mine, theirs) = (self.per_prompt.get(figure)?, other.per_prompt.get(figure)?);
        if mine.len() != theirs.len() || mine.len() < 2 {
            return None;
        }
        let differences: Vec<f32> = mine.iter().zip(theirs).map(|(a, b)| a - b).collect();
        let centre = mean(&differences);
        let squares: f64 = differences.iter().map(|&d| (f64::from(d) - centre).powi(2)).sum();
        let count = differences.len() as f64;
        Some((centre, (squares / (count - 1.0) / count).sqrt()))
    }
}

fn paths_of_beam(paths: &Paths, start: i64, count: i64) -> Paths {
    Paths {
        items: paths.items.narrow(1, start, count),
        length: paths.length.narrow(1, start, count),
        stopped: paths.stopped.narrow(1, start, count),
        tokens: None,
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn all_best_beams_together_have_coverage_gini_and_lengths() {
        // Two prompts; best beams 1 1 2 and 1; items 1 to 4 are known, item 9 is not.
        let paths = Paths::from_items(Tensor::from_slice(&[1i64, 1, 2, 0, 1, 9, 0, 0]).view([2, 1, 4]));
        let prompts = Prompts {
            history: Tensor::ones([2, 1], (Kind::Int64, Device::Cpu)),
            target: Tensor::from_slice(&[3i64, 4]),
        };
        let attributes = Attributes::new(&[0; 11], &[], 1, Device::Cpu);
        let mut evaluation = Evaluation::new(&[1, 3], &Tensor::from_slice(&[1i64, 2, 3, 4]));
        evaluation.add_shapes(&prompts, &paths, &attributes);
        let figures = evaluation.figures();
        assert_eq!((figures["distinct"], figures["coverage"]), (3.0, 0.5));
        // Counts 0 0 1 3: (−3·0 − 1·0 + 1·1 + 3·3) / (4 · 4)
        assert_eq!(figures["gini"], 0.625);
        assert_eq!(figures["length"], 2.5);
        let shares: Vec<f64> = (0..=3).map(|items| figures[&format!("length_share@{items}")]).collect();
        assert_eq!(shares, [0.0, 0.0, 0.5, 0.5]);
    }
}
