//! What goes to the standard output.
//!
//! A reader that has seen enough, such as `head`, closes the pipe. That is no reason to panic, nor to end a run that
//! still has files to write.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Writes `text`; a reader that is gone is no error. What else can go wrong is warned of.
pub fn write(text: Arguments<'_>) {
    if let Err(error) = std::io::stdout().lock().write_fmt(text)
        && error.kind() != ErrorKind::BrokenPipe
    {
        log::warn!("cannot write to the standard output: {error}");
    }
}

/// Prints as `print!` does.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::output::write(format_args!($($text)*)) };
}

/// Prints a line as `println!` does.
#[macro_export]
macro_rules! outln {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}
