//! The one place that writes to standard error, so that bars and log lines do not tear each other.

use env_logger::{Builder, Target, WriteStyle};
use indicatif::{MultiProgress, ProgressDrawTarget};
use log::{Level, LevelFilter, Record};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static BARS: OnceLock<MultiProgress> = OnceLock::new();
static QUIET: AtomicBool = AtomicBool::new(false);

/// How much the host says on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors; no progress.
    Quiet,
    /// What happens, and progress.
    #[default]
    Normal,
    /// Also why, with time and origin of each line.
    Verbose,
    /// Everything.
    Trace,
}

impl Verbosity {
    /// From `--quiet` and the number of `-v`.
    pub fn from_flags(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Trace,
        }
    }

    fn level(self) -> LevelFilter {
        match self {
            Verbosity::Quiet => LevelFilter::Warn,
            Verbosity::Normal => LevelFilter::Info,
            Verbosity::Verbose => LevelFilter::Debug,
            Verbosity::Trace => LevelFilter::Trace,
        }
    }
}

/// Sets up logging and progress for this process; `RUST_LOG`, where set, decides what is logged.
///
/// A second call changes the quiet mode only.
pub fn init_logging(verbosity: Verbosity) {
    set_quiet(verbosity == Verbosity::Quiet);
    let detailed = verbosity >= Verbosity::Verbose;
    let colours = is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = if colours { WriteStyle::Always } else { WriteStyle::Never };
    let started = Builder::new()
        .filter_level(verbosity.level())
        .parse_default_env()
        .target(Target::Pipe(Box::new(AboveBars)))
        .write_style(style)
        .format(move |out, record| match detailed {
            true => write_detailed(out, record),
            false => write_plain(out, record),
        })
        .try_init();
    if started.is_err() {
        log::debug!("logging was set up before");
    }
}

fn write_plain(out: &mut env_logger::fmt::Formatter, record: &Record) -> io::Result<()> {
    let word = match record.level() {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        _ => return writeln!(out, "{}", record.args()),
    };
    let style = out.default_level_style(record.level());
    writeln!(out, "{style}{word}{style:#}{}", record.args())
}

fn write_detailed(out: &mut env_logger::fmt::Formatter, record: &Record) -> io::Result<()> {
    let style = out.default_level_style(record.level());
    let (time, level, target) = (out.timestamp_millis(), record.level(), record.target());
    writeln!(out, "{time} {style}{level:5}{style:#} {target}: {}", record.args())
}

/// Whether progress is hidden.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Hides progress that starts from now on; for processes other than the first.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Runs `print` with all bars off the screen, for output of one's own.
pub fn suspended<T>(print: impl FnOnce() -> T) -> T {
    bars().suspend(print)
}

pub(super) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
}

pub(super) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes a line to standard error, above the bars. A closed standard error is no reason to stop a run.
pub fn print_line(line: &str) {
    suspended(|| {
        let _ = writeln!(io::stderr().lock(), "{line}");
    });
}

/// Where log lines go: standard error, with the bars out of the way.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        suspended(|| io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn flags_become_levels() {
        assert_eq!(Verbosity::from_flags(true, 2), Verbosity::Quiet);
        assert_eq!(Verbosity::from_flags(false, 0).level(), LevelFilter::Info);
        assert_eq!(Verbosity::from_flags(false, 1).level(), LevelFilter::Debug);
        assert_eq!(Verbosity::from_flags(false, 9).level(), LevelFilter::Trace);
    }

    #[test]
    fn logging_may_be_set_up_twice() {
        init_logging(Verbosity::Normal);
        init_logging(Verbosity::Normal);
        log::info!("a line");
        assert!(!is_quiet());
    }
}
