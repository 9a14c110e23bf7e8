//! The command line `amlp`, one file a verb.
//!
//! Results go to stdout, progress and messages to stderr. With `--json`, stdout holds exactly one JSON document. Exit
//! codes: 1 for an error (one line on stderr), 2 for wrong arguments, 3 if some scans failed and the others are done, 130 for
//! an interruption that was saved.

pub mod bench;
pub mod cohort;
pub mod compare;
pub mod consensus;
pub mod convert;
pub mod demo;
pub mod devices;
pub mod edit;
pub mod evaluate;
pub mod export;
mod files;
pub mod finetune;
pub mod info;
pub mod journal;
pub mod labels;
pub mod manual;
pub mod mask;
mod masks;
pub mod presets;
pub mod pretrain;
mod progress;
mod recipe;
pub mod resume;
pub mod retrain;
pub mod review;
pub mod segment;
pub mod study;
mod training;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::ErrorKind;
use crate::event::{Control, Signal};

/// Self-supervised lesion segmentation with adaptive masking: pre-training, fine-tuning, segmentation and evaluation.
///
/// Research use only. Not a medical device.
#[derive(Parser)]
#[command(name = "amlp", version, propagate_version = true, after_help = "amlp manual prints the manual.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show a scan's grid, type and values.
    #[command(after_help = info::EXAMPLES)]
    Info(info::Args),
    /// List a cohort's patients and the problems with its files.
    #[command(after_help = cohort::EXAMPLES)]
    Cohort(cohort::Args),
    /// Convert DICOM to a cohort.
    #[command(after_help = convert::EXAMPLES)]
    Convert(convert::Args),
    /// Show how the patches of a slice are clustered and masked.
    Mask(mask::Args),
    /// Pre-train a network without labels.
    #[command(after_help = pretrain::examples())]
    Pretrain(Box<pretrain::Args>),
    /// Fine-tune a network with a few labelled patients.
    #[command(after_help = finetune::EXAMPLES)]
    Finetune(Box<finetune::Args>),
    /// Resume an interrupted run of either stage.
    #[command(after_help = resume::EXAMPLES)]
    Resume(resume::Args),
    /// Add reviewed masks to the labels of the next fine-tuning run, or list them.
    #[command(after_help = labels::EXAMPLES)]
    Labels(labels::Args),
    /// Continue a fine-tuned run with corrected masks.
    #[command(after_help = retrain::EXAMPLES)]
    Retrain(retrain::Args),
    /// Segment scans with a fine-tuned network.
    #[command(after_help = segment::EXAMPLES)]
    Segment(segment::Args),
    /// Compare segmentations with reference masks.
    Evaluate(evaluate::Args),
    /// Export a fine-tuned network to pass on, with a model card.
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Print the review verdicts of a cohort, and export them with their findings.
    #[command(after_help = review::EXAMPLES)]
    Review(review::Args),
    /// Combine the masks of several raters into one.
    #[command(after_help = consensus::EXAMPLES)]
    Consensus(consensus::Args),
    /// Apply a list of operations to a mask.
    #[command(after_help = edit::EXAMPLES)]
    Edit(edit::Args),
    /// Restore a mask from an edit journal.
    #[command(after_help = journal::EXAMPLES)]
    Journal(journal::Args),
    /// Compare pre-training methods on the same patients with paired seeds.
    #[command(after_help = compare::EXAMPLES)]
    Compare(Box<compare::Args>),
    /// Compare methods over folds, draws and seeds, with statistics.
    #[command(after_help = study::EXAMPLES)]
    Study(study::Args),
    /// Run the full pipeline on the sample study, with a report.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Args),
    /// Measure time and memory of a training step and of inference.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// List the presets of pre-training by family, or describe some.
    #[command(after_help = presets::EXAMPLES)]
    Presets(presets::Args),
    /// List the devices that can compute.
    #[command(after_help = devices::EXAMPLES)]
    Devices(devices::Args),
    /// Print the manual, or its sections on a topic.
    #[command(after_help = manual::EXAMPLES)]
    Manual(manual::Args),
}

/// Exit code of a verb that did some of the scans but not all.
const SOME_FAILED: u8 = 3;

/// Exit code of a job that was interrupted after saving.
const INTERRUPTED: u8 = 130;

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// Runs the program on these arguments, the first of which is its own name.
pub fn run_with<T: Into<std::ffi::OsString> + Clone>(arguments: impl IntoIterator<Item = T>) -> ExitCode {
    // Before anything is written, even to standard output.
    crate::run::atomic::survive_size_limit();
    let cli = Cli::parse_from(arguments);
    crate::log::log_to_stderr("AMLP_LOG", "warn,wgpu_hal=off");
    let done = match cli.verb {
        Verb::Info(args) => info::run(args),
        Verb::Cohort(args) => cohort::run(&args),
        Verb::Convert(args) => convert::run(&args),
        Verb::Evaluate(args) => evaluate::run(args),
        Verb::Export(args) => export::run(&args),
        Verb::Mask(args) => mask::run(&args),
        Verb::Presets(args) => presets::run(&args),
        Verb::Pretrain(args) => pretrain::run(&args),
        Verb::Finetune(args) => finetune::run(&args),
        Verb::Resume(args) => resume::run(&args),
        Verb::Labels(args) => labels::run(&args),
        Verb::Retrain(args) => retrain::run(&args),
        Verb::Segment(args) => segment::run(&args),
        Verb::Review(args) => review::run(&args),
        Verb::Consensus(args) => consensus::run(&args),
        Verb::Edit(args) => edit::run(&args),
        Verb::Journal(args) => journal::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::Study(args) => study::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Devices(args) => devices::run(&args),
        Verb::Manual(args) => manual::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_cancelled(&error) => {
            eprintln!("amlp: interrupted; completed work is saved");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) if error.is::<files::PartialFailure>() => {
            eprintln!("amlp: {error}");
            ExitCode::from(SOME_FAILED)
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
    // The engine's errors include their cause; for others the whole chain is printed.
    let text = if error.is::<crate::Error>() { error.to_string() } else { format!("{error:#}") };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A control that Ctrl+C cancels: the current step is finished and saved. A second Ctrl+C exits at once.
fn interruptible() -> anyhow::Result<Arc<Control>> {
    let control = Arc::new(Control::default());
    let handle = Arc::clone(&control);
    ctrlc::set_handler(move || {
        if handle.get() == Signal::Cancel {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("amlp: finishing the step and saving; press Ctrl+C again to stop at once");
        handle.set(Signal::Cancel);
    })?;
    Ok(control)
}

/// Limits the compute threads; 0 takes all cores.
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

/// Prints on stdout. A full disk or a closed pipe is an error.
fn print_text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
