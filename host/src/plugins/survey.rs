//! What a library says of itself, asked in a process of its own.

use super::child::{self, Ended, PASSED};
use super::library::{self, HelloFacts};
use super::{PluginError, Result as PluginResult};
use crate::outln;
use anyhow::{Context, Result};
use prorl_sdk::export::description::Description;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

/// Begins the line that holds the answer; what a library prints when it is opened stands before.
const ANSWER: &str = "prorl-host survey: ";

/// A library's hello record and components.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Survey {
    /// Its hello record.
    pub hello: HelloFacts,
    /// What it contains.
    pub components: Vec<Description>,
}

/// What the library at `path` says of itself, asked in a process of its own; errors call it `shown`.
///
/// # Errors
/// It does not fit this host, offers nothing, or ends the process that opens it.
pub fn of(path: &Path, shown: &Path) -> Result<Survey> {
    let mut command = child::command("survey-here")?;
    command.arg("--").arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().context("cannot start a process that opens the library")?;
    let mut output = process.stdout.take();
    // Read meanwhile: a process whose pipe is full would never end.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.as_mut().map(|it| it.read_to_end(&mut bytes));
        read.transpose().map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    let refuse = |reason: String| PluginError::Load { path: shown.to_owned(), reason };
    let ended = child::ended(process)?;
    let said = reader.join().ok().context("cannot hear the process that opened the library")??;
    match ended {
        Ended::Passed => Ok(answer(&said).unwrap_or_else(|| Err("it cannot be described".into())).map_err(refuse)?),
        Ended::Refused => Err(refuse("the process that opened it failed".into()).into()),
        Ended::Otherwise(how) => Err(refuse(format!("it ended the process that opened it ({how})")).into()),
        Ended::Hangs(seconds) => Err(refuse(format!("opening it did not end within {seconds} s")).into()),
    }
}

fn answer(said: &str) -> Option<std::result::Result<Survey, String>> {
    serde_json::from_str(said.lines().rev().find_map(|line| line.strip_prefix(ANSWER))?).ok()
}

/// Opens the library at `path` in this process, prints what it says of itself, or why it cannot be used, and ends the
/// process with [`PASSED`].
///
/// # Errors
/// The answer cannot be written.
pub fn here(path: &Path) -> Result<()> {
    let answer = opened(path).map_err(|error| match error {
        PluginError::Load { reason, .. } => reason,
        other => other.to_string(),
    });
    outln!("\n{ANSWER}{}", serde_json::to_string(&answer)?);
    std::process::exit(i32::from(PASSED))
}

fn opened(path: &Path) -> PluginResult<Survey> {
    let library = library::open(path)?;
    if library.components.is_empty() {
        let reason = "it offers no component: put a `prorl_sdk::register_…!` line beside each implementation";
        return Err(PluginError::Load { path: path.to_owned(), reason: reason.into() });
    }
    Ok(Survey { hello: library.hello, components: library.components })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_behind_what_a_library_prints() {
        let said = format!("hello\n{ANSWER}{{\"Err\":\"too old\"}}\n");
        assert_eq!(answer(&said).and_then(Result::err), Some("too old".into()));
        assert!(answer("hello").is_none());
    }
}
