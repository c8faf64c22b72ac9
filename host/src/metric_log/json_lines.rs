//! `metrics.jsonl`: one JSON object a line, written through at once.

use super::{Event, MetricError, Result, Subscriber};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `{"stage", "step", "epoch", "time", "values": {name: number}}` a line.
///
/// JSON has no NaN and no infinity: such a value becomes `null`, with one warning for each metric.
pub struct JsonLines {
    path: PathBuf,
    file: File,
    warned: BTreeSet<String>,
}

impl JsonLines {
    /// Opens `path`, or creates it, to write behind what is there. A last line that an interruption
    /// cut off is removed.
    ///
    /// # Errors
    /// If the file cannot be opened or repaired.
    pub fn append(path: &Path) -> Result<Self> {
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let text = fs::read(path)?;
            let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            file.set_len(end as u64)?;
            Ok(file)
        };
        let file = open().map_err(MetricError::writing(path))?;
        let (path, warned) = (path.to_owned(), BTreeSet::new());
        Ok(Self { path, file, warned })
    }

    fn line(&mut self, event: &Event) -> String {
        let mut values = Map::new();
        for (name, value) in &event.values {
            if !value.is_finite() && self.warned.insert(name.clone()) {
                let Event { stage, step, .. } = event;
                log::warn!("{stage}: metric `{name}` is {value} at step {step}");
            }
            // Value::from turns what is not finite into null.
            values.insert(name.clone(), Value::from(*value));
        }
        let Event { stage, step, epoch, time, .. } = event;
        let line = json!({"stage": stage, "step": step, "epoch": epoch, "time": time, "values": values});
        format!("{line}\n")
    }
}

impl Subscriber for JsonLines {
    fn event(&mut self, event: &Event) -> Result<()> {
        let line = self.line(event);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(MetricError::writing(&self.path))
    }

    /// Cuts the file before the first line of `stage` from step `next` on. All behind it goes too: it was
    /// written later, so it belongs to the past that is given up.
    fn rewind(&mut self, stage: &str, next: u64) -> Result<()> {
        let cut = || -> io::Result<()> {
            let text = fs::read_to_string(&self.path)?;
            self.file.set_len(kept(&text, stage, next) as u64)?;
            self.file.sync_all()
        };
        cut().map_err(MetricError::writing(&self.path))
    }
}

/// How many bytes stand before the first line of `stage` from step `next` on.
fn kept(text: &str, stage: &str, next: u64) -> usize {
    let lines = text.split_inclusive('\n');
    lines.take_while(|line| !is_given_up(line, stage, next)).map(str::len).sum()
}

fn is_given_up(line: &str, stage: &str, next: u64) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    event["stage"] == stage && event["step"].as_u64().is_some_and(|step| step >= next)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::collections::BTreeMap;

    fn event(stage: &str, step: u64, value: f64) -> Event {
        let values = BTreeMap::from([("loss".to_owned(), value)]);
        Event { stage: stage.into(), step, epoch: 2, time: 1.25, values }
    }

    fn steps(path: &Path) -> Vec<(String, u64)> {
        let text = fs::read_to_string(path).unwrap();
        let step = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            (event["stage"].as_str().unwrap().to_owned(), event["step"].as_u64().unwrap())
        };
        text.lines().map(step).collect()
    }

    #[test]
    fn a_line_holds_an_event_and_null_what_is_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut lines = JsonLines::append(&path).unwrap();
        lines.event(&event("rl", 3, 0.1)).unwrap();
        lines.event(&event("rl", 4, f64::NAN)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let head = json!({"stage": "rl", "step": 3, "epoch": 2, "time": 1.25, "values": {"loss": 0.1}});
        assert_eq!(found[0], head);
        assert_eq!(found[1]["values"], json!({"loss": null}));
    }

    #[test]
    fn a_resumed_stage_writes_over_what_came_after_its_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut lines = JsonLines::append(&path).unwrap();
        for (stage, step) in [("imitation", 9), ("rl", 1), ("rl", 2), ("rl", 3), ("test", 1)] {
            lines.event(&event(stage, step, 0.0)).unwrap();
        }
        lines.file.write_all(b"{\"stage\": \"rl\", \"st").unwrap();
        let mut lines = JsonLines::append(&path).unwrap();
        assert_eq!(steps(&path).len(), 5);
        lines.rewind("rl", 3).unwrap();
        lines.event(&event("rl", 3, 1.0)).unwrap();
        let expected = [("imitation", 9), ("rl", 1), ("rl", 2), ("rl", 3)];
        assert_eq!(steps(&path), expected.map(|(stage, step)| (stage.to_owned(), step)));
        lines.rewind("imitation", 0).unwrap();
        assert!(steps(&path).is_empty());
    }
}
