//! `amlp retrain`: continues fine-tuning with corrected masks.

use std::path::PathBuf;

use super::finetune::train;
use super::training::{DeviceFlags, Output, put};
use crate::jobs::Start;
use crate::jobs::retrain::retrain_config;

pub const EXAMPLES: &str = "Examples:
  amlp labels add --cohort COHORT --case p07 --mask p07.nii.gz --reviewer AB --model runs/fine
  amlp retrain runs/fine --out runs/fine-2
  amlp retrain runs/fine --out runs/fine-2 --steps 300 --lr 0.001 --json

Settings are those of the run, with a fifth of its learning rate and a third of its length. Corrected masks of \
training patients and of patients outside the split are added. Validation and test patients stay the same and are \
never trained on.

Ctrl+C finishes the step, saves and exits with code 130. `amlp resume NEW` continues.";

#[derive(clap::Args)]
pub struct Args {
    /// Fine-tuned run to start from.
    run: PathBuf,
    /// Folder to create for the results.
    #[arg(long, value_name = "NEW")]
    out: PathBuf,
    /// Folder of the corrected masks [default: corrections in the cohort's folder].
    #[arg(long, value_name = "FOLDER")]
    corrections: Option<PathBuf>,
    /// Current location of the run's cohort.
    #[arg(long, value_name = "FOLDER")]
    cohort: Option<PathBuf>,
    /// Start from the network with the best validation instead of the last.
    #[arg(long)]
    best: bool,
    /// Number of epochs.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Number of steps; replaces the length in epochs.
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Learning rate.
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Train on these labelled patients instead: a percentage such as 5%, a number, all, or patients:ID,ID.
    #[arg(long, value_name = "LABELS")]
    labels: Option<String>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Fail if a scan or a mask would be left out.
    #[arg(long)]
    strict: bool,
    /// Print the estimated time and memory, then exit.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut config = retrain_config(&args.run, args.cohort.as_deref(), args.corrections.as_deref(), args.best)?;
    let training = &mut config.training;
    put(&mut training.epochs, args.epochs);
    if args.epochs.is_some() {
        // An explicit number of epochs is exact.
        (training.steps, training.min_steps) = (0, 0);
    }
    put(&mut training.steps, args.steps);
    put(&mut training.lr, args.lr);
    put(&mut config.labels.labels, args.labels.clone());
    args.device.apply_to(&mut config);
    let start = Start { dry: args.dry_run, strict: args.strict, ..Start::default() };
    train(config, &args.out, start, args.output)
}
