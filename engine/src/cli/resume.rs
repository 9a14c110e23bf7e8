//! `amlp resume`: an interrupted training of either stage continues.

use std::path::PathBuf;

use super::training::{Output, put};
use super::{finetune, pretrain};
use crate::Error;
use crate::device::DeviceList;
use crate::event::Stage;
use crate::jobs::{Start, stored_config};

/// Shown under `--help`.
pub const EXAMPLES: &str = "Examples:
  amlp resume runs/pre
  amlp resume runs/fine --device cpu --threads 4
  amlp resume runs/pre --cohort /data/new/place                  (the cohort was moved or renamed)

The run folder has the settings, the cohort and the stage. The options change where the training runs, not what it computes.";

/// Resumes an interrupted training from its last checkpoint.
#[derive(clap::Args)]
pub struct Args {
    /// Run folder.
    run: PathBuf,
    /// The run's cohort, where it lies now. It must hold the same scans.
    #[arg(long, value_name = "FOLDER")]
    cohort: Option<PathBuf>,
    /// Device: auto, cpu, wgpu[:i] or cuda[:i]. Several separated by commas share each batch.
    #[arg(long)]
    device: Option<DeviceList>,
    /// CPU threads; 0 uses all cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Slices per forward pass, with gradients accumulated over the batch; 0 for the whole batch.
    #[arg(long)]
    micro_batch: Option<usize>,
    /// MiB of slices kept in memory; the rest goes to a temporary file in the run folder.
    #[arg(long)]
    memory_mib: Option<u64>,
    /// Also write TensorBoard event files, into the folder tensorboard of the run.
    #[arg(long)]
    tensorboard: bool,
    /// Print the report as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut config = stored_config(&args.run)?;
    put(&mut config.data.cohort, args.cohort.clone());
    put(&mut config.device, args.device.clone());
    put(&mut config.threads, args.threads);
    put(&mut config.training.micro_batch, args.micro_batch);
    put(&mut config.data.memory_mib, args.memory_mib);
    if !config.data.cohort.is_dir() {
        let why = "the run's cohort is not there. If it was moved, name its new place with --cohort FOLDER";
        return Err(Error::file(&config.data.cohort, why).into());
    }
    let start = Start { resume: true, ..Start::default() };
    let output = Output { json: args.json, tensorboard: args.tensorboard };
    match config.stage {
        Stage::Pretrain => pretrain::train(config, &args.run, start, output),
        Stage::Finetune => finetune::train(config, &args.run, start, output),
    }
}
