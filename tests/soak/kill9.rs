//! Kills a small pre-training run with SIGKILL at random moments, resumes it, and compares the result.
//!
//! ```sh
//! cargo build --release -p engine
//! cargo run --release -p tests --example kill9 -- target/release/amlp --kills 200
//! ```
//!
//! The first run is uninterrupted. Another run is killed and resumed repeatedly, each time after at most half the duration of
//! the first. When it finishes, its events (without times) and the files of its last checkpoint must equal those of the first
//! run. Further runs follow until all kills are done. One line reports the result. The exit code is 1 if anything differs or
//! a run cannot be resumed.
#![allow(clippy::print_stdout, reason = "the program's result")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::Value;
use tests::random::Random;

type Failure = Box<dyn std::error::Error>;

/// A run of a few seconds: long enough to be killed at any stage, short enough to finish often.
const TRAINING: &[&str] = &[
    "--modality",
    "pet",
    "--width",
    "4",
    "--size",
    "32",
    "--batch",
    "4",
    "--epochs",
    "6",
    "--seed",
    "7",
    "--device",
    "cpu",
];
/// Every tenth slice of the sample study: about fifteen steps per epoch, for frequent checkpoints.
const CONFIG: &str = "[training]\nevery_slice = 10\n";
/// Fields that differ between equal runs: the time, and the position in a log with more than one start.
const CLOCK: &[&str] = &["t", "seq"];
/// Checkpoint files that differ between two processes: see [`weights`].
const UNCOMPARED: &[&str] = &["manifest.json", "optimizer.burnpack"];
/// Events about the process, not the run.
const PROCESS_EVENTS: &[&str] = &["started", "warning"];

/// Kills a small pre-training run at random moments, resumes it, and compares it with an uninterrupted one.
#[derive(Parser)]
struct Options {
    /// The program `amlp`.
    amlp: PathBuf,
    /// Number of kills.
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Seed of the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the runs, which is kept [default: a temporary folder].
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Starts the run in `folder`, or resumes it if it has a checkpoint.
fn start(amlp: &Path, folder: &Path, log: &Path) -> Result<Child, Failure> {
    let config = folder.with_extension("toml");
    fs::write(&config, CONFIG)?;
    let cohort = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let mut command = Command::new(amlp);
    command.arg("pretrain").arg(cohort).args(TRAINING).arg("--config").arg(config).arg("--out").arg(folder);
    if has_checkpoint(folder) {
        command.arg("--resume");
    } else if folder.exists() {
        // Killed before the first checkpoint: nothing to resume.
        fs::remove_dir_all(folder)?;
    }
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(log)?).spawn()?)
}

fn has_checkpoint(folder: &Path) -> bool {
    let entries = fs::read_dir(folder.join("checkpoints")).into_iter().flatten();
    // An interrupted save leaves temporary folders, which count only if the program would use them.
    entries.flatten().any(|entry| entry.path().join("manifest.json").is_file())
}

/// Waits for the process, or kills it at `deadline`. True if the run finished.
fn live(mut child: Child, deadline: Option<Duration>, log: &Path) -> Result<bool, Failure> {
    let born = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() {
                Ok(true)
            } else {
                Err(format!("a process ended with {status}: {}", fs::read_to_string(log)?.trim()).into())
            };
        }
        if deadline.is_some_and(|deadline| born.elapsed() >= deadline) {
            child.kill()?; // SIGKILL on Unix
            // It may have finished just before the kill.
            return Ok(child.wait()?.success());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The events of a finished run, without times and events about the process.
fn events(folder: &Path) -> Result<Vec<Value>, Failure> {
    let path = folder.join("events.jsonl");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut events = Vec::new();
    for line in text.lines() {
        let mut event: Value = serde_json::from_str(line)?;
        if PROCESS_EVENTS.iter().any(|name| event["event"] == *name) {
            continue;
        }
        if let Some(fields) = event.as_object_mut() {
            fields.retain(|name, _| !CLOCK.contains(&name.as_str()));
        }
        events.push(event);
    }
    Ok(events)
}

/// Name and content of each file of the last checkpoint, except the manifest, which holds the checksum of the optimiser state,
/// and the optimiser state, whose entries have identifiers that burn redraws in each process. A wrong optimiser state shows
/// in the weights and events of every epoch after a resume.
fn weights(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.join("checkpoints/last"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !UNCOMPARED.contains(&name.as_str()) {
            files.push((name, fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// Describes the first difference between two finished runs, if any.
fn difference(expected: &Path, found: &Path) -> Result<Option<String>, Failure> {
    let (left, right) = (events(expected)?, events(found)?);
    if let Some(at) = (0..left.len().max(right.len())).find(|i| left.get(*i) != right.get(*i)) {
        let show = |event: Option<&Value>| event.map_or("nothing".into(), Value::to_string);
        return Ok(Some(format!("event {}: {} vs {}", at + 1, show(left.get(at)), show(right.get(at)))));
    }
    let (left, right) = (weights(expected)?, weights(found)?);
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if left.is_empty() || names(&left) != names(&right) {
        return Ok(Some(format!("the last checkpoint's files: {:?} vs {:?}", names(&left), names(&right))));
    }
    let differing: Vec<String> = left.iter().zip(&right).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone()).collect();
    Ok((!differing.is_empty()).then(|| format!("the last checkpoint's {}", differing.join(", "))))
}

fn soak(options: &Options) -> Result<String, Failure> {
    let temporary = tempfile::tempdir()?;
    let place = options.keep.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(place)?;
    let log = place.join("stderr.txt");
    let reference = place.join("uninterrupted");
    let born = Instant::now();
    let amlp = fs::canonicalize(&options.amlp).map_err(|e| format!("{}: {e}", options.amlp.display()))?;
    live(start(&amlp, &reference, &log)?, None, &log)?;
    let whole = born.elapsed();
    eprintln!("uninterrupted: {:.1} s, {} events", whole.as_secs_f64(), events(&reference)?.len());

    let folder = place.join("interrupted");
    let mut moments = Random(options.seed);
    let (mut kills, mut finished, mut lives) = (0, 0, 0);
    while kills < options.kills || lives > 0 {
        let deadline = (kills < options.kills).then(|| whole.mul_f64(moments.between(0.0, 0.5)));
        lives += 1;
        if !live(start(&amlp, &folder, &log)?, deadline, &log)? {
            kills += 1;
            continue;
        }
        if let Some(difference) = difference(&reference, &folder)? {
            return Err(format!(
                "after {kills} kills, run {} with {lives} processes differs: {difference}",
                finished + 1
            )
            .into());
        }
        finished += 1;
        eprintln!("{kills} kills: run {finished} finished after {lives} processes and equals the uninterrupted one");
        lives = 0;
        fs::remove_dir_all(&folder)?;
    }
    Ok(format!(
        "{kills} kills (seed {}), {finished} runs finished, each with the events and weights of the uninterrupted one; {:.0} s",
        options.seed,
        born.elapsed().as_secs_f64()
    ))
}

fn main() -> ExitCode {
    let options = Options::parse();
    match soak(&options) {
        Ok(line) => {
            println!("passed: {line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
