//! Damaged DICOM files, one place after the other: see [`tests::damaged`].
//!
//! ```sh
//! cargo run --release -p tests --example dicom -- [--runs 100000] [--seed 1] [--seconds 600] [--folder FOLDER]
//! cargo run --release -p tests --example dicom -- --seeds FOLDER
//! ```
//!
//! The files are written in a temporary folder, or in `FOLDER`: a folder in memory is much faster. After a panic, too much
//! memory or too much time the exit code is 1 and the seed is printed. After an abort of the process the damaged files are
//! in the folder. `--seeds` writes the undamaged places, each as one file, for the target in `tests/fuzz`.
#![allow(clippy::print_stdout, reason = "the program's result")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tests::damaged::{Outcome, as_file, check, places};

type Failure = Box<dyn std::error::Error>;

fn soak() -> Result<(), Failure> {
    let (mut runs, mut first, mut seconds, mut folder, mut seeds) = (100_000, 1_u64, u64::MAX, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--runs" => runs = value.parse()?,
            "--seed" => first = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--folder" => folder = Some(PathBuf::from(value)),
            "--seeds" => seeds = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let folder = tempfile::tempdir_in(folder.unwrap_or_else(std::env::temp_dir))?;
    let places = places(&folder.path().join("series"))?;
    if let Some(seeds) = seeds {
        std::fs::create_dir_all(&seeds)?;
        for (at, place) in places.iter().enumerate() {
            std::fs::write(seeds.join(at.to_string()), as_file(place))?;
        }
        println!("{} seeds in {}", places.len(), seeds.display());
        return Ok(());
    }
    println!("{} places, damaged in {}", places.len(), folder.path().display());
    // A decoder that panics on a damaged frame is caught, and is no failure.
    std::panic::set_hook(Box::new(|_| {}));
    let (started, mut all, mut done) = (Instant::now(), Outcome::default(), 0);
    for seed in first..first + runs {
        match check(seed, &places, &folder.path().join("damaged")) {
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
    match soak() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
