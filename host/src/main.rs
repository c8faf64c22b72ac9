//! `prorl-host`: the command.

use clap::Parser;
use prorl_host::application;
use prorl_host::command_line::Typed;
use prorl_host::settings::Sources;
use std::process::ExitCode;

fn main() -> ExitCode {
    let invocation = Typed::parse().meaning(Sources::process_environment());
    match application::run(invocation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(application::exit_code(&error))
        }
    }
}
