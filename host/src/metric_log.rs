//! Metrics: declared first, then reported, then handed to whoever subscribed.

mod accumulator;
mod declared;
mod json_lines;
mod tensorboard;

pub use accumulator::Accumulator;
pub use declared::Declared;
pub use json_lines::JsonLines;
pub use tensorboard::TensorBoard;

use prorl_sdk::metrics::{MetricDeclaration, Reduction};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// An error of the metric log.
#[derive(Debug, Error)]
pub enum MetricError {
    /// A number was reported that nobody declared.
    #[error("metric `{name}` is not declared{}", hint(nearest))]
    Undeclared {
        /// The name reported.
        name: String,
        /// The most similar name that is declared.
        nearest: Option<String>,
    },
    /// Two components mean different things by one name.
    #[error("metric `{0}` is declared twice, and differently: rename one of the two")]
    Conflict(String),
    /// A weight that is negative, infinite or no number.
    #[error("metric `{name}` was given the weight {weight}; a weight counts prompts")]
    Weight {
        /// The metric.
        name: String,
        /// Its weight.
        weight: f64,
    },
    /// A log cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The log.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl MetricError {
    fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| MetricError::Write { path, source }
    }
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

type Result<T, E = MetricError> = std::result::Result<T, E>;

/// Values reported together.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The stage they come from.
    pub stage: String,
    /// The step of that stage, from 0.
    pub step: u64,
    /// The pass over the data that the step belongs to, from 0.
    pub epoch: u64,
    /// Seconds since 1970, UTC.
    pub time: f64,
    /// By name.
    pub values: BTreeMap<String, f64>,
}

/// Something that wants every event.
pub trait Subscriber: Send {
    /// Takes an event.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn event(&mut self, event: &Event) -> Result<()>;

    /// Forgets what `stage` reported at `next` and later, as it goes on with that step.
    ///
    /// # Errors
    /// If it cannot be forgotten.
    fn rewind(&mut self, stage: &str, next: u64) -> Result<()>;
}

/// The log of one run.
#[derive(Default)]
pub struct MetricLog {
    declared: Declared,
    subscribers: Vec<Box<dyn Subscriber>>,
}

impl MetricLog {
    /// A log without declarations and subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that writes `metrics.jsonl` and TensorBoard events into a run's folder, behind what is
    /// there.
    ///
    /// # Errors
    /// If the files cannot be opened.
    pub fn create(run: &Path) -> Result<Self> {
        let mut log = Self::new();
        log.subscribe(Box::new(JsonLines::append(&run.join("metrics.jsonl"))?));
        log.subscribe(Box::new(TensorBoard::new(&run.join("tensorboard"))));
        Ok(log)
    }

    /// Adds a subscriber.
    pub fn subscribe(&mut self, subscriber: Box<dyn Subscriber>) {
        self.subscribers.push(subscriber);
    }

    /// Makes metrics known. The same declaration may come twice.
    ///
    /// # Errors
    /// If a name is known with another meaning.
    pub fn declare(&mut self, metrics: &[MetricDeclaration]) -> Result<()> {
        self.declared.add(metrics)
    }

    /// What is declared.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Collects values of several batches by the reductions declared so far.
    pub fn accumulator(&self) -> Accumulator {
        Accumulator::new(self.declared.clone())
    }

    /// Hands `values` to all subscribers; no values, no event; of a name that comes twice, the last.
    ///
    /// # Errors
    /// For a name that is not declared, before anything is written; if a log cannot be written.
    pub fn write(&mut self, stage: &str, step: u64, epoch: u64, values: &[(String, f64)]) -> Result<()> {
        for (name, _) in values {
            self.declared.find(name)?;
        }
        if values.is_empty() {
            return Ok(());
        }
        let (stage, time) = (stage.to_owned(), now());
        let values = values.iter().cloned().collect();
        let event = Event { stage, step, epoch, time, values };
        let subscribers = &mut self.subscribers;
        subscribers.iter_mut().try_for_each(|subscriber| subscriber.event(&event))
    }

    /// Forgets what `stage` reported at step `next` and later, as it goes on with that step: to be
    /// called when a run resumes, before the first [`write`](MetricLog::write).
    ///
    /// # Errors
    /// If a log cannot be read or written.
    pub fn rewind(&mut self, stage: &str, next: u64) -> Result<()> {
        let subscribers = &mut self.subscribers;
        subscribers.iter_mut().try_for_each(|subscriber| subscriber.rewind(stage, next))
    }
}

fn now() -> f64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0.0, |time| time.as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Keep(Arc<Mutex<Vec<Event>>>);

    impl Subscriber for Keep {
        fn event(&mut self, event: &Event) -> Result<()> {
            self.0.lock().unwrap().push(event.clone());
            Ok(())
        }

        fn rewind(&mut self, stage: &str, next: u64) -> Result<()> {
            let mut events = self.0.lock().unwrap();
            events.retain(|event| event.stage != stage || event.step < next);
            Ok(())
        }
    }

    fn values(name: &str, value: f64) -> [(String, f64); 1] {
        [(name.to_owned(), value)]
    }

    #[test]
    fn declared_values_reach_subscribers_and_others_do_not() {
        let (mut log, kept) = (MetricLog::new(), Keep::default());
        log.subscribe(Box::new(kept.clone()));
        log.declare(&[MetricDeclaration::mean("policy/entropy", "nats", "Of the policy.")]).unwrap();
        log.write("rl", 1, 0, &values("policy/entropy", 2.0)).unwrap();
        log.write("rl", 2, 0, &values("policy/entropy", 1.0)).unwrap();
        log.write("rl", 3, 0, &[]).unwrap();
        let error = log.write("rl", 3, 1, &values("policy/entrpy", 2.0)).unwrap_err();
        let text = "metric `policy/entrpy` is not declared; did you mean `policy/entropy`?";
        assert_eq!(error.to_string(), text);
        log.rewind("rl", 2).unwrap();
        let events = kept.0.lock().unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].values, BTreeMap::from(values("policy/entropy", 2.0)));
        assert!(events[0].time > 1.7e9);
    }

    #[test]
    fn a_run_s_folder_gets_both_logs() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = MetricLog::create(folder.path()).unwrap();
        log.declare(&[MetricDeclaration::mean("loss", "", "The loss.")]).unwrap();
        let mut batch = log.accumulator();
        batch.add("loss", 1.0, 1.0).unwrap();
        log.write("rl", 1, 0, &batch.values()).unwrap();
        assert!(folder.path().join("metrics.jsonl").is_file());
        assert!(folder.path().join("tensorboard/rl").is_dir());
    }
}
