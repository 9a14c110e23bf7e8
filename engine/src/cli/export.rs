//! `amlp export`: exports the network of a fine-tuning run, with a model card.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::print_line;
use crate::cohort::split::Split;
use crate::config::Config;
use crate::disk::atomic::write_atomic;
use crate::finetune::FinetuneReport;
use crate::predict::ModelCard;
use crate::predict::{Choice, export_model, open_finetuned};
use crate::run::RunFolder;
use crate::{Error, Result};

/// The model card.
const CARD: &str = "MODEL.md";

pub const EXAMPLES: &str = "Examples:
  amlp export runs/fine --out model
  amlp export runs/fine --best --attribution ATTRIBUTION.md --out model

`amlp segment --model` and the viewer read the folder like a fine-tuned run. It contains no scans and no paths, but \
it names the patients of the split.";

#[derive(clap::Args)]
pub struct Args {
    /// Fine-tuned run.
    run: PathBuf,
    /// Folder to create for the model.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Export the network with the best validation instead of the last.
    #[arg(long)]
    best: bool,
    /// Text file on the origin and licence of the training data, for the model card.
    #[arg(long, value_name = "FILE")]
    attribution: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let attribution = args.attribution.as_deref().map(read_attribution).transpose()?;
    let (run, config) = open_finetuned(&args.run)?;
    if args.run.join(CARD).is_file() {
        bail!("{}: is already an exported model. Copy the folder, or name the run it comes from", args.run.display());
    }
    let report: FinetuneReport = run.read_report()?;
    let pretrained = pretrained(&config)?;
    let choice = if args.best { Choice::Best } else { Choice::Last };
    let exported = export_model(&args.run, choice, &args.out)?;
    let card = ModelCard {
        exported: &exported,
        command: None,
        device: Some(&report.device),
        pretrained: &pretrained,
        labelled: &report.labelled,
        test: &run.read_split::<Split>()?.test,
        scores: None,
        attribution: attribution.as_deref(),
    };
    write_card(&args.out, &card)?;
    print_line(&format!("Model: {}", args.out.display()))
}

/// Training patients of the pre-training run; empty if the network started from random weights.
fn pretrained(config: &Config) -> Result<Vec<String>> {
    if config.labels.from.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    Ok(RunFolder::open(&config.labels.from)?.read_split::<Split>()?.train)
}

/// Reads the text on the origin and licence of the data.
pub(super) fn read_attribution(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::io("read", path))
}

/// Writes the model card `MODEL.md` into the model's folder.
pub(super) fn write_card(model: &Path, card: &ModelCard<'_>) -> Result<()> {
    write_atomic(&model.join(CARD), card.text().as_bytes()).map(drop)
}
