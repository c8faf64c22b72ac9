//! What a progress line says, and when one is due.

use std::time::Duration;

/// Without a tenth of the way passed, a line comes this often.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tenths of the way that pass faster than this are not worth a line each.
const SPACING: Duration = Duration::from_secs(1);

/// Decides when a plain line is due: after each tenth of the way and every ten seconds.
#[derive(Default)]
pub(super) struct Cadence {
    tenths: u64,
    printed: Duration,
}

impl Cadence {
    /// Whether to print now; the last line is [`Progress::finish`](super::Progress::finish)'s.
    pub(super) fn is_due(&mut self, done: u64, total: u64, elapsed: Duration) -> bool {
        if total > 0 && done >= total {
            return false;
        }
        let tenths = done.saturating_mul(10).checked_div(total).unwrap_or(0);
        let silence = elapsed.saturating_sub(self.printed);
        let due = silence >= PATIENCE || (tenths > self.tenths && silence >= SPACING);
        if due {
            self.tenths = tenths;
            self.printed = elapsed;
        }
        due
    }
}

/// How far a stage is at one moment.
pub(super) struct Standing<'a> {
    pub stage: &'a str,
    pub unit: &'a str,
    pub total: u64,
    pub done: u64,
    pub skipped: u64,
    pub notes: &'a [(String, f64)],
    pub elapsed: Duration,
}

impl Standing<'_> {
    /// `rl 120/400 steps · 1.9/s · loss 0.123 · 2 min 27 s left`
    pub(super) fn line(&self) -> String {
        let mut parts = vec![self.position()];
        parts.extend(self.detail_parts());
        parts.join(" · ")
    }

    /// `rl 400/400 steps in 3 min 30 s · 1.9/s · loss 0.123`
    pub(super) fn last_line(&self) -> String {
        let mut parts = vec![format!("{} in {}", self.position(), duration(self.elapsed))];
        parts.extend(self.rate_text());
        parts.extend(self.note_parts());
        parts.join(" · ")
    }

    /// What stands beside a bar: `1.9/s · loss 0.123 · 2 min 27 s left`
    pub(super) fn details(&self) -> String {
        self.detail_parts().join(" · ")
    }

    fn detail_parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.rate_text().into_iter().collect();
        parts.extend(self.note_parts());
        parts.extend(self.left().map(|left| format!("{} left", duration(left))));
        parts
    }

    fn note_parts(&self) -> impl Iterator<Item = String> {
        self.notes.iter().map(|(name, value)| format!("{name} {}", brief(*value)))
    }

    fn position(&self) -> String {
        let Self { stage, unit, total, done, .. } = self;
        match total {
            0 => format!("{stage} {done} {unit}"),
            _ => format!("{stage} {done}/{total} {unit}"),
        }
    }

    /// Units a second, as far as this process did them.
    fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        let done = self.done.saturating_sub(self.skipped);
        (done > 0 && seconds > 0.0).then(|| done as f64 / seconds)
    }

    fn rate_text(&self) -> Option<String> {
        let rate = self.rate()?;
        Some(match rate {
            100.0.. => format!("{rate:.0}/s"),
            0.5.. => format!("{rate:.1}/s"),
            _ => format!("{:.1} s each", 1.0 / rate),
        })
    }

    fn left(&self) -> Option<Duration> {
        let left = self.total.checked_sub(self.done).filter(|left| *left > 0)?;
        Duration::try_from_secs_f64(left as f64 / self.rate()?).ok()
    }
}

/// A number in three significant digits: `0.123`, `1.23`, `1234`, `1.2e-7`.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = (2.0 - size.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

/// A time span in its two largest units: `45 s`, `2 min 27 s`, `1 h 03 min`, `2 d 5 h`.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs_f64().round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", seconds % 60),
        (0, _, _) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn standing(notes: &[(String, f64)]) -> Standing<'_> {
        Standing {
            stage: "rl",
            unit: "steps",
            total: 400,
            done: 120,
            skipped: 0,
            notes,
            elapsed: Duration::from_secs(63),
        }
    }

    #[test]
    fn a_line_says_where_how_fast_how_good_and_how_long() {
        let notes = [("loss".to_owned(), 0.123)];
        let line = standing(&notes).line();
        assert_eq!(line, "rl 120/400 steps · 1.9/s · loss 0.123 · 2 min 27 s left");
    }

    #[test]
    fn earlier_units_do_not_speed_up_a_resumed_stage() {
        let resumed = Standing { skipped: 57, ..standing(&[]) };
        assert_eq!(resumed.line(), "rl 120/400 steps · 1.0/s · 4 min 40 s left");
    }

    #[test]
    fn without_total_rate_or_time_nothing_is_invented() {
        let unknown = Standing { total: 0, ..standing(&[]) };
        assert_eq!(unknown.line(), "rl 120 steps · 1.9/s");
        let start = Standing { done: 0, ..standing(&[]) };
        assert_eq!(start.line(), "rl 0/400 steps");
        let beyond = Standing { done: 401, ..standing(&[]) };
        assert_eq!(beyond.line(), "rl 401/400 steps · 6.4/s");
    }

    #[test]
    fn lines_come_at_tenths_and_every_ten_seconds() {
        let mut cadence = Cadence::default();
        let due: Vec<u64> =
            (1..=400).filter(|second| cadence.is_due(*second / 4, 100, Duration::from_secs(*second))).collect();
        assert_eq!(due.first(), Some(&10));
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] <= 10), "{due:?}");
        assert_eq!(due.last(), Some(&390));
        let mut fast = Cadence::default();
        assert!(!fast.is_due(50, 100, Duration::from_millis(3)));
    }

    #[test]
    fn numbers_and_times_are_brief() {
        let numbers = [0.0, 0.123, -1.234, 99.96, 1234.4, 2.5e-4, 1.23e-7, f64::NAN];
        let texts = numbers.map(brief);
        let expected = ["0", "0.123", "-1.23", "100.0", "1234", "0.000250", "1.23e-7", "NaN"];
        assert_eq!(texts, expected);
        let spans = [0, 45, 147, 3780, 190_800].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(spans, ["0 s", "45 s", "2 min 27 s", "1 h 03 min", "2 d 5 h"]);
    }
}
