//! What was read, and what was left out and why.

use serde::Serialize;
use std::path::PathBuf;

/// A record of reading: so that no interaction disappears without a reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReadReport {
    /// The format that was read.
    pub format: String,
    /// Files in the order of reading.
    pub files: Vec<FileRead>,
    /// What was left out, by reason.
    pub dropped: Vec<Dropped>,
    /// Choices that the reader made and the user may want to know of.
    pub notes: Vec<String>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileRead {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its records (rows, JSON list entries); 0 where it was only found, and left to a plugin.
    pub records: usize,
}

/// Things left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// What they are, e.g. `interactions`.
    pub what: String,
    /// Why they were left out.
    pub reason: String,
    /// How many.
    pub count: usize,
}

impl ReadReport {
    /// Counts things left out; the same thing and reason add up, and nothing is recorded for a count of 0.
    pub fn drop_counted(&mut self, what: &str, reason: &str, count: usize) {
        if count == 0 {
            return;
        }
        match self.dropped.iter_mut().find(|known| known.what == what && known.reason == reason) {
            Some(known) => known.count += count,
            None => self.dropped.push(Dropped { what: what.into(), reason: reason.into(), count }),
        }
    }

    /// How many things were left out for a reason.
    pub fn dropped_for(&self, what: &str, reason: &str) -> usize {
        let matching = self.dropped.iter().filter(|it| it.what == what && it.reason == reason);
        matching.map(|it| it.count).sum()
    }

    /// Records a choice, and logs it.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        log::info!("data: {note}");
        self.notes.push(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reason_adds_up() {
        let mut report = ReadReport::default();
        report.drop_counted("examples", "unknown item", 2);
        report.drop_counted("examples", "no history", 0);
        report.drop_counted("examples", "unknown item", 3);
        assert_eq!(report.dropped.len(), 1);
        assert_eq!(report.dropped_for("examples", "unknown item"), 5);
    }
}
