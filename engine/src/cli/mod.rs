//! The command line `amlp`, one file a verb.

pub mod cohort;
pub mod evaluate;
pub mod info;

use std::process::ExitCode;

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
