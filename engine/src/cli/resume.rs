//! `amlp resume`: continues an interrupted run of either stage.

use std::path::PathBuf;

use super::training::{DeviceFlags, Output, put};
use super::{finetune, pretrain};
use crate::Error;
use crate::event::Stage;
use crate::jobs::{Start, stored_config};

pub const EXAMPLES: &str = "Examples:
  amlp resume runs/pre
  amlp resume runs/fine --device cpu --threads 4
  amlp resume runs/pre --cohort /data/patients      (the cohort was moved or renamed)

Settings, cohort and stage are read from the run folder. The options change where the run computes, not what it \
computes.";

#[derive(clap::Args)]
pub struct Args {
    /// Run folder.
    run: PathBuf,
    /// Current location of the run's cohort. It must contain the same scans.
    #[arg(long, value_name = "FOLDER")]
    cohort: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
    #[command(flatten)]
    output: Output,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut config = stored_config(&args.run)?;
    put(&mut config.data.cohort, args.cohort.clone());
    args.device.apply_to(&mut config);
    if !config.data.cohort.is_dir() {
        let why = "the run's cohort was not found. If it was moved, give its new location with --cohort FOLDER";
        return Err(Error::file(&config.data.cohort, why).into());
    }
    let start = Start { resume: true, ..Start::default() };
    match config.stage {
        Stage::Pretrain => pretrain::train(config, &args.run, start, args.output),
        Stage::Finetune => finetune::train(config, &args.run, start, args.output),
    }
}
