//! Random sequences of edits, each with a journal that is cut at random bytes: see [`tests::edited`].
//!
//! ```sh
//! cargo run --release -p tests --example journal -- [--sequences 100000] [--seed 1] [--cuts 20] [--folder FOLDER]
//! ```
//!
//! The journals are written in a temporary folder, or in `FOLDER`: a folder in memory is much faster. The exit code is 1 and the
//! seed is printed if anything but the state after the last whole record is restored.
#![allow(clippy::print_stdout, reason = "the program's result")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tests::edited::{SequenceReport, check};

type Failure = Box<dyn std::error::Error>;

fn soak() -> Result<(), Failure> {
    let (mut sequences, mut first, mut cuts, mut folder) = (100_000, 1_u64, 20, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--sequences" => sequences = value.parse()?,
            "--seed" => first = value.parse()?,
            "--cuts" => cuts = value.parse()?,
            "--folder" => folder = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
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
    match soak() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
