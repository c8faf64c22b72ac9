//! The command as a whole: shared by `prorl-host` and by programs that link plugins in.

use crate::application;
use crate::command_line::Typed;
use crate::settings::Sources;
use clap::Parser;
use std::process::ExitCode;

/// Does what the process's arguments ask for; an error is one message on the standard error.
pub fn run() -> ExitCode {
    let kept = prorl_distributed::keep_freed_memory();
    let invocation = Typed::parse().meaning(Sources::process_environment());
    if let Err(error) = kept {
        eprintln!("warning: {error}");
    }
    match application::run(invocation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(application::exit_code(&error))
        }
    }
}
