//! The command line `amlp`, one file a verb.
//!
//! Results go to stdout, progress and messages to stderr; with `--json` stdout holds exactly one JSON document. An
//! error is one line and exit code 1, a wrong call exit code 2, an interruption that was saved exit code 130.

pub mod bench;
pub mod cohort;
pub mod compare;
pub mod demo;
pub mod devices;
pub mod evaluate;
pub mod finetune;
pub mod info;
pub mod mask;
pub mod pretrain;
mod progress;
pub mod segment;
mod training;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::ErrorKind;
use crate::event::{Control, Signal};

/// AMLP: self-supervised lesion segmentation with adaptive masking, from scans to an evaluated segmentation.
/// Research use, not a medical device.
#[derive(Parser)]
#[command(name = "amlp", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// What a scan is: grid, type, values.
    #[command(after_help = info::EXAMPLES)]
    Info(info::Args),
    /// What a folder of patients holds, and what is wrong with it.
    #[command(after_help = cohort::EXAMPLES)]
    Cohort(cohort::Args),
    /// Show which patches of a slice are clustered as lesion and masked.
    Mask(mask::Args),
    /// Pre-train a network without labels.
    #[command(after_help = pretrain::EXAMPLES)]
    Pretrain(Box<pretrain::Args>),
    /// Fine-tune a network with a few labelled patients.
    #[command(after_help = finetune::EXAMPLES)]
    Finetune(Box<finetune::Args>),
    /// Segment scans with a fine-tuned network.
    #[command(after_help = segment::EXAMPLES)]
    Segment(segment::Args),
    /// Compare masks with reference masks.
    Evaluate(evaluate::Args),
    /// Compare pre-training methods on the same patients with paired seeds.
    #[command(after_help = compare::EXAMPLES)]
    Compare(Box<compare::Args>),
    /// The whole job on the sample study, with a report.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Args),
    /// Seconds and memory of a training step and of inference on a device.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Which devices can compute.
    #[command(after_help = devices::EXAMPLES)]
    Devices(devices::Args),
}

/// Exit code of a job that was interrupted and saved.
const INTERRUPTED: u8 = 130;

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// Runs the program on these arguments, the first of which is its own name.
pub fn run_with<T: Into<std::ffi::OsString> + Clone>(arguments: impl IntoIterator<Item = T>) -> ExitCode {
    // Before anything is written anywhere, standard output included.
    crate::run::atomic::survive_size_limit();
    let cli = Cli::parse_from(arguments);
    let filter = tracing_subscriber::EnvFilter::try_from_env("AMLP_LOG").unwrap_or_else(|_| "warn,wgpu_hal=off".into());
    // Within another program the log is that program's.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().try_init();
    let done = match cli.verb {
        Verb::Info(args) => info::run(args),
        Verb::Cohort(args) => cohort::run(&args),
        Verb::Evaluate(args) => evaluate::run(args),
        Verb::Mask(args) => mask::run(&args),
        Verb::Pretrain(args) => pretrain::run(&args),
        Verb::Finetune(args) => finetune::run(&args),
        Verb::Segment(args) => segment::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Devices(args) => devices::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_cancelled(&error) => {
            eprintln!("amlp: interrupted; what was done is saved");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("amlp: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn is_cancelled(error: &anyhow::Error) -> bool {
    error.downcast_ref::<crate::Error>().is_some_and(|e| matches!(e.kind(), ErrorKind::Cancelled))
}

fn one_line(error: &anyhow::Error) -> String {
    // The engine's errors name their cause themselves; of others the chain is told.
    let text = if error.is::<crate::Error>() { error.to_string() } else { format!("{error:#}") };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A control that Ctrl+C cancels: the step under way is finished and saved. A second Ctrl+C ends the program at once.
fn interruptible() -> anyhow::Result<Arc<Control>> {
    let control = Arc::new(Control::default());
    let handle = Arc::clone(&control);
    ctrlc::set_handler(move || {
        if handle.get() == Signal::Cancel {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("amlp: finishing the step and saving; press again to stop at once");
        handle.set(Signal::Cancel);
    })?;
    Ok(control)
}

/// Limits the threads that compute; 0 takes all cores.
fn use_threads(threads: usize) -> anyhow::Result<()> {
    Ok(crate::threads::install(threads)?)
}

/// Prints a document on stdout.
fn print_json<T: serde::Serialize>(document: &T) -> anyhow::Result<()> {
    print_line(&serde_json::to_string_pretty(document)?)
}

/// Prints a line on stdout.
fn print_line(line: &str) -> anyhow::Result<()> {
    print_text(&format!("{line}\n"))
}

/// Prints on stdout. What cannot be printed (a full disk, a pipe that was closed) is an error like any other.
fn print_text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
