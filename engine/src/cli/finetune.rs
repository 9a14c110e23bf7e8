//! `amlp finetune`

use std::path::{Path, PathBuf};

use super::progress::{self, Progress};
use super::training::{Shared, put};
use super::{interruptible, print_json, print_line, use_threads};
use crate::config::{Config, finetune_preset};
use crate::device::open_all;
use crate::jobs::{FinetuneJob, Start};
use crate::run::RunFolder;

/// Shown under `--help`.
pub const EXAMPLES: &str = "Examples:
  amlp finetune COHORT --modality flair --from runs/pre --labels 5% --out runs/fine
  amlp finetune COHORT --modality flair --from none --labels 5% --out runs/scratch
  amlp finetune COHORT --modality pet --from runs/pre --labels 4 --validate 5 --out runs/fine

From a pre-training run the split, the preprocessing and the network are inherited. Labels read with --validate count in
the label budget. Ctrl+C finishes the step, saves and exits with 130; --resume goes on from there.";

/// Fine-tunes on labelled training patients of a cohort.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: Shared,
    /// Pre-training run to start from, or none for random weights.
    #[arg(long)]
    from: PathBuf,
    /// Named settings to start from: finetune, or paper (slices with lesion only, no augmentation).
    #[arg(long, default_value = "finetune")]
    preset: String,
    /// Labelled training patients: 5%, a number, all, or by name: patients:ID,ID.
    #[arg(long)]
    labels: Option<String>,
    /// Share of slices without lesion among those trained on; 0 is the paper's.
    #[arg(long)]
    negative_slices: Option<f64>,
    /// Look at the validation patients every so many epochs, and keep the best network.
    #[arg(long)]
    validate: Option<usize>,
    /// No flips, rotations, scalings or intensity changes.
    #[arg(long)]
    no_augmentation: bool,
    /// Slice whose probability is recorded epoch by epoch: PATIENT:SLICE, the slice as prepared, from 0. Repeatable.
    #[arg(long)]
    probe: Vec<String>,
}

impl Args {
    fn config(&self) -> anyhow::Result<Config> {
        let mut fresh = finetune_preset(&self.preset)?;
        // A resumed run has its settings and its network; the pre-training's folder may be gone.
        let resumes = self.shared.resume && RunFolder::is_run(&self.shared.out);
        if self.from != Path::new("none") && !resumes {
            let run = RunFolder::open(&self.from)?;
            let theirs = Config::from_toml(&run.config_text()?, &run.config_path())?;
            fresh.preprocess = theirs.preprocess;
            fresh.network = theirs.network;
            fresh.data = theirs.data;
            fresh.seed = theirs.seed;
            fresh.training.shift_px = theirs.training.shift_px;
            fresh.labels.from = std::path::absolute(&self.from)?;
        }
        let mut config = self.shared.settle(fresh)?;
        if !self.probe.is_empty() {
            config.method.probes.clone_from(&self.probe);
        }
        let l = &mut config.labels;
        put(&mut l.labels, self.labels.clone());
        put(&mut l.negative_slices, self.negative_slices);
        put(&mut l.validate_every, self.validate);
        if self.no_augmentation {
            (l.flip, l.rotate_deg, l.scale, l.intensity) = (false, 0.0, 0.0, 0.0);
        }
        Ok(config)
    }
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.config()?;
    use_threads(config.threads)?;
    let control = interruptible()?;
    let compute = open_all(&config.device)?;
    let shared = &args.shared;
    let start = Start { resume: shared.resume, split: shared.split.as_deref(), dry: shared.dry_run };
    let mut job = FinetuneJob::prepare(config, &shared.out, start, &control, &mut progress::cases())?;
    let Some(report) = job.train(&compute, &mut Progress::new(), &control)? else { return Ok(()) };
    if shared.json {
        return print_json(&report);
    }
    let budget = report.labelled.len() + report.validated.len();
    print_line(&format!(
        "fine-tuned {} epochs on {} lesion slices of {} labelled patients (label budget {budget}) in {}: loss {:.4}; \
         run folder {}",
        report.epochs,
        report.lesion_slices,
        report.labelled.len(),
        progress::duration(report.seconds),
        report.loss,
        shared.out.display()
    ))
}
