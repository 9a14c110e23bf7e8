//! Reads randomly damaged DICOM files: see [`tests::damaged`].
//!
//! ```sh
//! cargo run --release -p tests --example dicom -- --help
//! ```
//!
//! Most files are read from memory, some from a temporary folder or the given one; a folder in memory is faster. After a panic,
//! or if reading takes too much memory or time, the program prints the seed, leaves the damaged files in the folder and exits
//! with 1. If the process is aborted, the file `seed` in the folder holds the seed, and `--seed` with `--runs 1` writes the
//! files of that run before it reads them. `--seeds` writes the undamaged inputs, each as one file, for the target in
//! `tests/fuzz`.
#![allow(clippy::print_stdout, reason = "the program's result")]

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tests::damaged::{Outcome, as_file, check, write_damaged};
use tests::samples::Samples;

type Failure = Box<dyn std::error::Error + Send + Sync>;

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
    let samples = Samples::new(&folder.path().join("series"))?;
    if let Some(seeds) = seeds {
        std::fs::create_dir_all(&seeds)?;
        for (at, sample) in samples.all.iter().enumerate() {
            std::fs::write(seeds.join(at.to_string()), as_file(sample))?;
        }
        println!("{} seeds in {}", samples.all.len(), seeds.display());
        return Ok(());
    }
    println!("{} samples, {} of them small, in {}", samples.all.len(), samples.small, folder.path().display());
    let damaged = folder.path().join("damaged");
    if runs == 1 {
        write_damaged(first, &samples, &damaged)?;
    }
    let mut current = File::create(folder.path().join("seed"))?;
    // A decoder that panics on a damaged frame is caught, and is not a failure.
    std::panic::set_hook(Box::new(|_| {}));
    let (started, mut all, mut done) = (Instant::now(), Outcome::default(), 0);
    for seed in first..first + runs {
        current.rewind()?;
        writeln!(current, "{seed:20}")?;
        match check(seed, &samples, &damaged) {
            Ok(outcome) => all.add(&outcome),
            Err(why) => return Err(format!("seed {seed}: {why}. Files: {}", folder.keep().display()).into()),
        }
        done += 1;
        if done % 100_000 == 0 {
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
    // Small files are read fastest without other threads. Several processes with different seeds use several cores.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let options = Options::parse();
    match pool.map_err(Failure::from).and_then(|pool| pool.install(|| soak(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
