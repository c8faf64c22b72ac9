//! How far a stage is: a bar on a terminal, plain lines elsewhere, nothing in quiet mode.

mod console;
mod wording;

pub use console::{Verbosity, init_logging, is_quiet, print_line, set_quiet, suspended};
pub use wording::{brief, duration};

use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};
use wording::{Cadence, Standing};

/// A bar is reworded at most this often.
const REDRAW: Duration = Duration::from_millis(50);

/// The progress of one stage.
///
/// ```no_run
/// # use prorl_host::progress::Progress;
/// let mut progress = Progress::new("rl", 400, "steps");
/// for _ in 0..400 {
///     progress.note("loss", 0.123);
///     progress.advance(1);
/// }
/// progress.finish();
/// ```
/// prints lines like `rl 120/400 steps · 1.9/s · loss 0.123 · 2 min 27 s left`.
pub struct Progress {
    stage: String,
    unit: String,
    total: u64,
    done: u64,
    skipped: u64,
    notes: Vec<(String, f64)>,
    started: Instant,
    view: View,
}

enum View {
    Bar { bar: ProgressBar, drawn: Instant },
    Lines { cadence: Cadence, print: fn(&str) },
    Quiet,
}

impl Progress {
    /// Starts at 0 of `total` `unit` (a plural noun); a `total` of 0 means that it is not known.
    pub fn new(stage: &str, total: u64, unit: &str) -> Self {
        let view = match (is_quiet(), console::is_terminal()) {
            (true, _) => View::Quiet,
            (false, true) => bar(stage, total),
            (false, false) => lines(console::print_line),
        };
        Self::with_view(stage, total, unit, view)
    }

    fn with_view(stage: &str, total: u64, unit: &str, view: View) -> Self {
        Self {
            stage: stage.to_owned(),
            unit: unit.to_owned(),
            total,
            done: 0,
            skipped: 0,
            notes: Vec::new(),
            started: Instant::now(),
            view,
        }
    }

    /// The same for a resumed stage of which `done` units were finished earlier: they count as
    /// progress, not towards the rate.
    #[must_use]
    pub fn resumed_at(mut self, done: u64) -> Self {
        self.done = done;
        self.skipped = done;
        if let View::Bar { bar, .. } = &self.view {
            bar.set_position(done);
        }
        self
    }

    /// Shows `name value` from the next line on, in the order of first mention.
    pub fn note(&mut self, name: &str, value: f64) {
        match self.notes.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.notes.push((name.to_owned(), value)),
        }
    }

    /// Counts `n` more units as done and shows it when it is time to.
    pub fn advance(&mut self, n: u64) {
        self.done = self.done.saturating_add(n);
        let elapsed = self.started.elapsed();
        let due = match &mut self.view {
            View::Bar { bar, drawn } => {
                bar.set_position(self.done);
                let due = drawn.elapsed() >= REDRAW;
                *drawn = if due { Instant::now() } else { *drawn };
                due
            }
            View::Lines { cadence, .. } => cadence.is_due(self.done, self.total, elapsed),
            View::Quiet => false,
        };
        if due {
            self.show(elapsed);
        }
    }

    /// Ends with a line that says how much was done in what time.
    pub fn finish(mut self) {
        let line = self.standing(self.started.elapsed()).last_line();
        match std::mem::replace(&mut self.view, View::Quiet) {
            View::Bar { bar, .. } => {
                bar.finish_and_clear();
                console::print_line(&line);
            }
            View::Lines { print, .. } => print(&line),
            View::Quiet => {}
        }
    }

    fn show(&self, elapsed: Duration) {
        let standing = self.standing(elapsed);
        match &self.view {
            View::Bar { bar, .. } => bar.set_message(standing.details()),
            View::Lines { print, .. } => print(&standing.line()),
            View::Quiet => {}
        }
    }

    fn standing(&self, elapsed: Duration) -> Standing<'_> {
        Standing {
            stage: &self.stage,
            unit: &self.unit,
            total: self.total,
            done: self.done,
            skipped: self.skipped,
            notes: &self.notes,
            elapsed,
        }
    }
}

impl Drop for Progress {
    /// A stage that failed leaves its bar where it stood.
    fn drop(&mut self) {
        if let View::Bar { bar, .. } = &self.view {
            bar.abandon();
        }
    }
}

fn lines(print: fn(&str)) -> View {
    View::Lines { cadence: Cadence::default(), print }
}

fn bar(stage: &str, total: u64) -> View {
    let (bar, template) = if total == 0 {
        (ProgressBar::new_spinner(), "{prefix} {spinner} {pos} · {msg}")
    } else {
        let template = "{prefix} {bar:24} {pos}/{len} · {msg}";
        (ProgressBar::new(total), template)
    };
    let bar = console::bars().add(bar);
    // The templates are fixed; were one wrong, indicatif's own style would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(stage.to_owned());
    let drawn = Instant::now();
    View::Bar { bar, drawn }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::cell::RefCell;

    thread_local! {
        static PRINTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn keep(line: &str) {
        PRINTED.with_borrow_mut(|printed| printed.push(line.to_owned()));
    }

    #[test]
    fn a_fast_stage_prints_its_last_line_only() {
        let mut progress = Progress::with_view("rl", 400, "steps", lines(keep));
        for _ in 0..400 {
            progress.note("loss", 0.5);
            progress.note("loss", 0.25);
            progress.advance(1);
        }
        progress.finish();
        let printed = PRINTED.take();
        assert_eq!(printed.len(), 1, "{printed:?}");
        assert!(printed[0].starts_with("rl 400/400 steps in 0 s · "), "{printed:?}");
        assert!(printed[0].ends_with(" · loss 0.250"), "{printed:?}");
    }

    #[test]
    fn a_bar_survives_notes_logs_and_an_early_end() {
        let view = bar("codes", 10);
        let mut progress = Progress::with_view("codes", 10, "epochs", view).resumed_at(4);
        progress.note("loss", f64::NAN);
        progress.advance(3);
        suspended(|| {});
        drop(progress);
        Progress::with_view("codes", 0, "items", bar("codes", 0)).finish();
    }
}
