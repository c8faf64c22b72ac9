//! Running other programs: what is run is shown, a failure stops the task.

use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::{Duration, Instant};

/// Shows the command, runs it and waits.
///
/// # Errors
/// It cannot be started, or ends with a status other than 0.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// The command as one would type it, the program by its file name.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words: Vec<_> = std::iter::once(name).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Says what is about to happen, does it, and says how long it took.
///
/// # Errors
/// Those of `work`.
pub fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("{what} …");
    let start = Instant::now();
    let result = work()?;
    println!("  done in {}", span(start.elapsed()));
    Ok(result)
}

/// `0.4 s`, `17 s`, `2 min 5 s`.
fn span(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/somewhere/cargo");
        assert_eq!(shown(command.args(["fmt", "--all"])), "cargo fmt --all");
    }

    #[test]
    fn spans_are_rounded_to_what_matters() {
        assert_eq!(span(Duration::from_millis(420)), "0.4 s");
        assert_eq!(span(Duration::from_millis(17_900)), "17 s");
        assert_eq!(span(Duration::from_secs(125)), "2 min 5 s");
    }

    #[test]
    fn failure_names_the_command() {
        let error = run(Command::new("false").arg("x")).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("`false x` failed")));
    }
}
