//! A plugin's log records reach the host's logger.

use log::{Level, LevelFilter, Log, Metadata, Record};
use prorl_abi::object::LogSinkBox;

struct ToHost(LogSinkBox);

impl Log for ToHost {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let message = record.args().to_string();
            self.0.log(record.level() as u32, record.target().into(), message.as_str().into());
        }
    }

    fn flush(&self) {}
}

/// Sends this library's records to `sink`, up to `level` (1 error … 5 trace).
pub fn forward(sink: LogSinkBox, level: u32) {
    log::set_max_level(filter(level));
    if log::set_boxed_logger(Box::new(ToHost(sink))).is_err() {
        log::debug!("this library already has a logger");
    }
}

fn filter(level: u32) -> LevelFilter {
    LevelFilter::iter().nth(level as usize).unwrap_or(LevelFilter::Trace)
}

/// The level that a number (1 error … 5 trace) stands for.
pub fn level(number: u32) -> Level {
    Level::iter().nth(number.saturating_sub(1) as usize).unwrap_or(Level::Trace)
}
