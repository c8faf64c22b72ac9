//! From metrics of paths to a policy's figures.

use super::path_metrics::{self, Attributes};
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::PathScores;
use std::collections::{BTreeMap, BTreeSet};
use tch::{Kind, Tensor};

/// Figures of one policy, collected batch by batch.
///
/// A figure is named `metric@k` (the best beam cut to `k` items) or `metric_max@k` (the best of the first `k`
/// whole beams); figures of an evaluator carry its name in front: `sasrec/ioi@10`.
pub struct Evaluation {
    cutoffs: Vec<i64>,
    per_prompt: BTreeMap<String, Vec<f32>>,
    recommended: BTreeSet<i64>,
    largest: i64,
}

impl Evaluation {
    /// No prompts yet; `cutoffs` are the `k` of the figures.
    pub fn new(cutoffs: &[i64]) -> Self {
        let largest = cutoffs.iter().copied().max().unwrap_or(1);
        Self { cutoffs: cutoffs.to_vec(), per_prompt: BTreeMap::new(), recommended: BTreeSet::new(), largest }
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
        self.recommended.extend(items.into_iter().filter(|&item| item > 0));
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

    /// Mean over prompts of every figure, and the number of distinct items of all best beams.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let mut figures: BTreeMap<String, f64> =
            self.per_prompt.iter().map(|(name, values)| (name.clone(), mean(values))).collect();
        figures.insert("distinct".into(), self.recommended.len() as f64);
        figures
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
