//! Makes random sequences of edits and truncates their journals at random bytes: see [`tests::edited`].
//!
//! ```sh
//! cargo run --release -p tests --example journal -- --help
//! ```
//!
//! The journals are written to a temporary folder or to the given one; a folder in memory is much faster. If a journal restores
//! anything but the state after its last whole record, the program prints the seed and exits with 1.
#![allow(clippy::print_stdout, reason = "the program's result")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tests::edited::{SequenceReport, check};

type Failure = Box<dyn std::error::Error>;

/// Edits masks at random, truncates each journal at random bytes, and checks the restored mask.
#[derive(Parser)]
struct Options {
    /// Number of edit sequences.
    #[arg(long, default_value_t = 100_000)]
    sequences: u64,
    /// Seed of the first sequence.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of cuts per sequence.
    #[arg(long, default_value_t = 20)]
    cuts: usize,
    /// Folder for the journals, for example in memory [default: a temporary folder].
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn soak(options: Options) -> Result<(), Failure> {
    let Options { sequences, seed: first, cuts, folder } = options;
    let folder = tempfile::tempdir_in(folder.unwrap_or_else(std::env::temp_dir))?;
    let (started, mut all) = (Instant::now(), SequenceReport::default());
    for seed in first..first + sequences {
        let checked = check(seed, cuts, folder.path()).map_err(|why| format!("seed {seed}: {why}"))?;
        all.records += checked.records;
        all.compactions += checked.compactions;
        all.cuts += checked.cuts;
        if (seed - first + 1).is_multiple_of(10_000) {
            println!("{} of {sequences} sequences", seed - first + 1);
        }
    }
    let SequenceReport { records, compactions, cuts } = all;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{sequences} sequences, {records} records, {compactions} compactions, {cuts} cuts: all restored, {seconds:.0} s"
    );
    Ok(())
}

fn main() -> ExitCode {
    match soak(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
