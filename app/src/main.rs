//! `amlp-viewer`: the desktop viewer.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    amlp_viewer::launch::run(&amlp_viewer::Args::parse())
}
