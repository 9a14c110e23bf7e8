//! The command line `amlp`. Each command has its own file.
//!
//! Results go to stdout, progress and messages to stderr. With `--json`, stdout is exactly one JSON document. Exit
//! codes: 1 for an error (one line on stderr), 2 for wrong arguments, 3 if some scans failed but the others are done, 130 for
//! an interruption after which the completed work is saved.

mod bench;
mod cohort;
mod compare;
mod consensus;
mod convert;
mod demo;
mod devices;
mod edit;
pub mod evaluate;
mod export;
mod files;
mod finetune;
mod info;
mod journal;
mod labels;
mod manual;
mod mask;
mod masks;
mod presets;
mod pretrain;
mod progress;
mod recipe;
mod resume;
mod retrain;
mod review;
mod segment;
mod study;
mod training;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::ErrorKind;
use crate::event::{Control, Signal};

/// Self-supervised lesion segmentation with adaptive masking: pre-training, fine-tuning, segmentation and evaluation.
///
/// Research use only. Not a medical device.
#[derive(Parser)]
#[command(
    name = "amlp",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Manual: amlp manual. Help of a command: amlp COMMAND --help."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the grid, data type and values of a scan.
    #[command(after_help = info::EXAMPLES)]
    Info(info::Args),
    /// List the patients of a cohort and problems with its files.
    #[command(after_help = cohort::EXAMPLES)]
    Cohort(cohort::Args),
    /// Convert DICOM to a cohort of NIfTI files.
    #[command(after_help = convert::EXAMPLES)]
    Convert(convert::Args),
    /// Show how the patches of a slice are clustered and masked.
    #[command(after_help = mask::EXAMPLES)]
    Mask(mask::Args),
    /// Pre-train a network on unlabelled scans.
    #[command(after_help = pretrain::examples())]
    Pretrain(Box<pretrain::Args>),
    /// Fine-tune a network on a few labelled patients.
    #[command(after_help = finetune::EXAMPLES)]
    Finetune(Box<finetune::Args>),
    /// Resume an interrupted run of either stage.
    #[command(after_help = resume::EXAMPLES)]
    Resume(resume::Args),
    /// Add reviewed masks for the next fine-tuning run, or list them.
    #[command(after_help = labels::EXAMPLES)]
    Labels(labels::Args),
    /// Continue fine-tuning a run with corrected masks.
    #[command(after_help = retrain::EXAMPLES)]
    Retrain(retrain::Args),
    /// Segment scans with a fine-tuned network.
    #[command(after_help = segment::EXAMPLES)]
    Segment(segment::Args),
    /// Compare segmentations with reference masks.
    Evaluate(evaluate::Args),
    /// Export a fine-tuned network with a model card, to share it.
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Print the review verdicts of a cohort, and export verdicts, findings and report pages.
    #[command(after_help = review::EXAMPLES)]
    Review(review::Args),
    /// Combine the masks of several raters into one.
    #[command(after_help = consensus::EXAMPLES)]
    Consensus(consensus::Args),
    /// Apply a list of edit operations to a mask.
    #[command(after_help = edit::EXAMPLES)]
    Edit(edit::Args),
    /// List the edits in a journal, and restore its mask.
    #[command(after_help = journal::EXAMPLES)]
    Journal(journal::Args),
    /// Compare pre-training methods on one split, with paired seeds.
    #[command(after_help = compare::EXAMPLES)]
    Compare(Box<compare::Args>),
    /// Compare methods over folds, labelled patients and seeds, with paired statistics.
    #[command(after_help = study::EXAMPLES)]
    Study(study::Args),
    /// Run the full pipeline on the sample study and write a report.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Args),
    /// Measure the time and memory of a training step and of inference.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// List the pre-training presets, or describe some of them.
    #[command(after_help = presets::EXAMPLES)]
    Presets(presets::Args),
    /// List the devices that can compute.
    #[command(after_help = devices::EXAMPLES)]
    Devices(devices::Args),
    /// Print the manual, or its sections on a topic.
    #[command(after_help = manual::EXAMPLES)]
    Manual(manual::Args),
    /// Print this list, the help of a command, or the manual's sections on another topic.
    #[command(after_help = manual::HELP_EXAMPLES)]
    Help(manual::Args),
}

/// Exit code of a command that processed some of the scans but not all.
const SOME_FAILED: u8 = 3;

/// Exit code of a job that was interrupted after saving.
const INTERRUPTED: u8 = 130;

/// Runs the program on the process's arguments.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// Runs the program on these arguments, the first of which is its own name.
pub fn run_with<T: Into<OsString>>(arguments: impl IntoIterator<Item = T>) -> ExitCode {
    // This must precede the first write, even to standard output.
    crate::disk::atomic::survive_size_limit();
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = Cli::command();
    if let Some(about) = presets::help(&arguments) {
        command = command.mut_subcommand("pretrain", |pretrain| pretrain.before_help(about));
    }
    let cli = Cli::from_arg_matches(&command.get_matches_from(arguments)).unwrap_or_else(|error| error.exit());
    crate::log::log_to_stderr("AMLP_LOG", "warn,wgpu_hal=off");
    let done = match cli.command {
        Command::Info(args) => info::run(args),
        Command::Cohort(args) => cohort::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => export::run(&args),
        Command::Mask(args) => mask::run(&args),
        Command::Presets(args) => presets::run(&args),
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Finetune(args) => finetune::run(&args),
        Command::Resume(args) => resume::run(&args),
        Command::Labels(args) => labels::run(&args),
        Command::Retrain(args) => retrain::run(&args),
        Command::Segment(args) => segment::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Consensus(args) => consensus::run(&args),
        Command::Edit(args) => edit::run(&args),
        Command::Journal(args) => journal::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Manual(args) => manual::run(&args),
        Command::Help(args) => manual::help(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_cancelled(&error) => {
            eprintln!("amlp: interrupted. Completed work is saved");
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
    let options =
        REMEDIES.iter().filter(|(remedy, _)| text.contains(remedy)).map(|(_, option)| format!(" (option {option})"));
    text.split_whitespace().collect::<Vec<_>>().join(" ") + &options.collect::<String>()
}

/// Remedies that errors name, and their options. The window shows the same errors, so the errors do not name options.
const REMEDIES: [(&str, &str); 10] = [
    ("one of its frames", "--frame"),
    ("labels.any", "--labels-any"),
    ("preprocess.ct_offset", "--ct-offset"),
    ("a CT offset", "--ct-offset"),
    ("(preprocess.spacing)", "--spacing, or a larger --scale of a study"),
    ("(preprocess.size)", "--size"),
    ("study other modalities", "--modality, if the study has --cohort"),
    ("another folder for the changed", "--out"),
    ("Give the split of the run", "--split"),
    ("strict = true", "--strict"),
];

/// A control that Ctrl+C cancels. The current step is finished and saved first. A second Ctrl+C exits at once.
fn interruptible() -> anyhow::Result<Arc<Control>> {
    let control = Arc::new(Control::default());
    let handle = Arc::clone(&control);
    ctrlc::set_handler(move || {
        if handle.get() == Signal::Cancel {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("amlp: finishing the step and saving. Press Ctrl+C again to stop at once");
        handle.set(Signal::Cancel);
    })?;
    Ok(control)
}

/// Sets the number of compute threads; 0 uses all cores.
fn use_threads(threads: usize) -> anyhow::Result<()> {
    Ok(crate::threads::install(threads)?)
}

/// Prints a JSON document to stdout.
fn print_json<T: serde::Serialize>(document: &T) -> anyhow::Result<()> {
    print_line(&serde_json::to_string_pretty(document)?)
}

/// Prints a line to stdout.
fn print_line(line: &str) -> anyhow::Result<()> {
    print_text(&format!("{line}\n"))
}

/// Prints to stdout. A full disk or a closed pipe is an error.
fn print_text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
