//! `prorl-host`: the command.

use std::process::ExitCode;

fn main() -> ExitCode {
    prorl_host::program::run()
}
