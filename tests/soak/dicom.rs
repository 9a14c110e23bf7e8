//! Reads randomly damaged DICOM files: see [`tests::damaged`].
//!
//! ```sh
//! cargo run --release -p tests --example dicom -- --help
//! ```
//!
//! The files are written to a temporary folder or to the given one; a folder in memory is much faster. After a panic, or if
//! reading takes too much memory or time, the program prints the seed and exits with 1. If the process is aborted, the damaged
//! files stay in the folder. `--seeds` writes the undamaged inputs, each as one file, for the target in `tests/fuzz`.
#![allow(clippy::print_stdout, reason = "the program's result")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tests::damaged::{Outcome, as_file, check, samples};

type Failure = Box<dyn std::error::Error>;

/// Damages DICOM files at random and reads them.
#[derive(Parser)]
struct Options {
    /// Number of damaged samples.
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// Seed of the first sample.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time limit in seconds.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    seconds: u64,
    /// Folder for the files, for example in memory [default: a temporary folder].
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Only write the undamaged samples to this folder.
    #[arg(long)]
    seeds: Option<PathBuf>,
}

fn soak(options: Options) -> Result<(), Failure> {
    let Options { runs, seed: first, seconds, folder, seeds } = options;
    let folder = tempfile::tempdir_in(folder.unwrap_or_else(std::env::temp_dir))?;
    let samples = samples(&folder.path().join("series"))?;
    if let Some(seeds) = seeds {
        std::fs::create_dir_all(&seeds)?;
        for (at, sample) in samples.iter().enumerate() {
            std::fs::write(seeds.join(at.to_string()), as_file(sample))?;
        }
        println!("{} seeds in {}", samples.len(), seeds.display());
        return Ok(());
    }
    println!("{} samples, damaged in {}", samples.len(), folder.path().display());
    // A decoder that panics on a damaged frame is caught, and is no failure.
    std::panic::set_hook(Box::new(|_| {}));
    let (started, mut all, mut done) = (Instant::now(), Outcome::default(), 0);
    for seed in first..first + runs {
        match check(seed, &samples, &folder.path().join("damaged")) {
            Ok(outcome) => all.add(&outcome),
            Err(why) => return Err(format!("seed {seed}: {why}. Files: {}", folder.keep().display()).into()),
        }
        done += 1;
        if done % 10_000 == 0 {
            println!("{done} runs, {:.0} s, {all:?}", started.elapsed().as_secs_f64());
        }
        if started.elapsed().as_secs() >= seconds {
            break;
        }
    }
    println!("{done} runs, {:.0} s, no failure: {all:?}", started.elapsed().as_secs_f64());
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
