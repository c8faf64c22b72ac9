//! What the loop writes down of every step and epoch.

use prorl_sdk::algorithm::ScoredPaths;
use prorl_sdk::metrics::MetricDeclaration;
use prorl_sdk::prompts::Paths;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use tch::{Kind, Tensor};

/// Figures of the loop itself; the algorithm declares its own.
pub fn declarations() -> Vec<MetricDeclaration> {
    let mean = MetricDeclaration::mean;
    vec![
        mean("rollout/length", "items", "Items of a path, valid or not."),
        mean("rollout/stopped", "", "Share of paths that ended by choice."),
        mean("rollout/invalid", "", "Share of codes that are no item.").down(),
        mean("rollout/repeats", "", "Share of items that stand earlier on their path.").down(),
        mean("rollout/ioi", "nats", "Gain of the target's log-probability over a path.").up(),
        mean("rollout/ior", "ranks", "Ranks that the target gained over a path.").up(),
        mean("rollout/ctr", "", "Mean click probability of a path's items.").up(),
        mean("policy/entropy", "nats", "Entropy of the policy over whole paths, estimated from the paths it drew."),
        mean("train/loss", "", "What was minimised."),
        mean("train/gradient_norm", "", "Global norm of the gradient before clipping."),
        mean(
            "train/sampling_gap",
            "nats",
            "Largest gap between a path's log-probability when drawn and when differentiated.",
        )
        .down(),
        mean("train/learning_rate", "", "Learning rate of the step."),
        mean("time/rollout", "s", "Seconds to draw paths.").down(),
        mean("time/reward", "s", "Seconds to judge them.").down(),
        mean("time/update", "s", "Seconds to learn from them.").down(),
        mean("validation/ioi_max", "nats", "Best gain of the beams, mean over validation prompts.").up(),
        mean("validation/ioi", "nats", "Gain of the likeliest beam, mean over validation prompts.").up(),
        mean("validation/ctr", "", "Mean click probability of the likeliest beam's items, over validation prompts.")
            .up(),
    ]
}

/// Figures of one step.
#[derive(Default)]
pub struct StepFigures(Vec<(String, f64)>);

impl StepFigures {
    /// No figures.
    pub fn new() -> Self {
        Self::default()
    }

    /// All figures.
    pub fn values(&self) -> &[(String, f64)] {
        &self.0
    }

    /// A figure, NaN where there is none.
    pub fn get(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// Sets a figure; of several updates the last counts.
    pub fn put(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Sets the figures that a component reports.
    pub fn add_metrics(&mut self, metrics: &[(String, Tensor)]) {
        for (name, value) in metrics {
            self.put(name, value.double_value(&[]));
        }
    }

    /// Runs `body` and adds its seconds to those written down.
    pub fn timed<T>(&mut self, name: &str, body: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = body();
        let before = Some(self.get(name)).filter(|seconds| !seconds.is_nan()).unwrap_or(0.0);
        self.put(name, before + started.elapsed().as_secs_f64());
        result
    }

    /// Entropy of the policy over whole paths: the mean of `−ln π(path)` over the drawn paths, whose expectation it is
    /// (of paths drawn from the policy itself: temperature 1, all tokens). `log_prob` is `[B, G]`.
    pub fn describe_entropy(&mut self, log_prob: &Tensor) {
        self.put("policy/entropy", -log_prob.mean(Kind::Double).double_value(&[]));
    }

    /// Figures of the drawn paths.
    pub fn describe(&mut self, paths: &Paths, scored: &ScoredPaths) {
        let mean = |tensor: &Tensor| tensor.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        let items = paths.length.sum(Kind::Float).double_value(&[]).max(1.0);
        let share = |mask: Tensor| mask.sum(Kind::Float).double_value(&[]) / items;
        let path_sum = |steps: &Tensor| mean(&steps.sum_dim_intlist(-1, false, Kind::Float));
        let valid = paths.items.gt(0).sum_dim_intlist(-1, false, Kind::Float).clamp_min(1.0); // [B, G]
        self.put("rollout/length", mean(&paths.length));
        self.put("rollout/stopped", mean(&paths.stopped));
        self.put("rollout/invalid", share(paths.invalid()));
        self.put("rollout/repeats", share(paths.repeated()));
        self.put("rollout/ioi", path_sum(&scored.ioi));
        self.put("rollout/ior", path_sum(&scored.ior));
        self.put("rollout/ctr", mean(&(scored.ctr.sum_dim_intlist(-1, false, Kind::Float) / valid)));
    }
}

/// Means over the steps of an epoch.
#[derive(Default)]
pub struct EpochFigures {
    sums: BTreeMap<String, f64>,
    steps: u32,
}

impl EpochFigures {
    /// No steps yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step.
    pub fn add(&mut self, figures: &StepFigures) {
        for (name, value) in figures.values() {
            *self.sums.entry(name.clone()).or_default() += value;
        }
        self.steps += 1;
    }

    /// The epoch's means as a row of the curve; starts over.
    pub fn finish(&mut self, epoch: u64, step: u64, validation: Option<f64>) -> Value {
        let steps = f64::from(self.steps.max(1));
        let means: BTreeMap<String, f64> =
            std::mem::take(&mut self.sums).into_iter().map(|(name, sum)| (name, sum / steps)).collect();
        self.steps = 0;
        log::info!(
            "epoch {epoch}: ioi {:+.3}, ior {:+.1}, ctr {:.3}, length {:.2}{}",
            means.get("rollout/ioi").unwrap_or(&f64::NAN),
            means.get("rollout/ior").unwrap_or(&f64::NAN),
            means.get("rollout/ctr").unwrap_or(&f64::NAN),
            means.get("rollout/length").unwrap_or(&f64::NAN),
            validation.map(|score| format!(", validation ioi_max {score:+.3}")).unwrap_or_default()
        );
        json!({ "epoch": epoch, "step": step, "figures": means, "validation": validation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_estimated_from_the_drawn_paths() {
        // Four equally likely paths have the entropy ln 4, whichever was drawn.
        let mut figures = StepFigures::new();
        figures.describe_entropy(&Tensor::full([3, 2], 0.25f64.ln(), (Kind::Float, tch::Device::Cpu)));
        assert!((figures.get("policy/entropy") - 4f64.ln()).abs() < 1e-6);
    }
}
