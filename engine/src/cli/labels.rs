//! `amlp labels`: adds and lists corrected masks of a cohort, for the next fine-tuning run.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::masks::MaskFlags;
use super::{print_json, print_line};
use crate::cohort::Cohort;
use crate::cohort::corrections::{Addition, Correction, Corrections, Verdict};
use crate::jobs::retrain::model_id;
use crate::predict::Choice;

pub const EXAMPLES: &str = "Examples:
  amlp labels add --cohort COHORT --case p07 --mask p07.nii.gz --reviewer AB --model runs/fine
  amlp labels add --cohort COHORT --case p09 --mask out/p09.nii.gz --reviewer AB --verdict accepted
  amlp labels list --cohort COHORT
  amlp retrain runs/fine --out runs/fine-2

The masks of the cohort itself do not change. Of several masks of a case, the newest is used; the others stay in the \
folder.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a reviewed mask of a case.
    Add(AddArgs),
    /// List the newest mask of each case, with its reviewer and model.
    List(CorrectionFlags),
}

/// Where the corrected masks are, and how the result is printed.
#[derive(Debug, clap::Args)]
struct CorrectionFlags {
    /// Folder of the cohort.
    #[arg(long, value_name = "FOLDER")]
    cohort: PathBuf,
    /// Folder of the corrected masks [default: corrections in the cohort's folder].
    #[arg(long, value_name = "FOLDER")]
    corrections: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    #[command(flatten)]
    location: CorrectionFlags,
    /// Id of the case in the cohort.
    #[arg(long, value_name = "ID")]
    case: String,
    /// Reviewed mask, on the grid of one of the case's images.
    #[arg(long, value_name = "FILE")]
    mask: PathBuf,
    /// Initials of the reviewer.
    #[arg(long, value_name = "XY")]
    reviewer: String,
    /// Verdict of the reviewer.
    #[arg(long, value_enum, default_value = "corrected")]
    verdict: Verdict,
    /// Fine-tuned run that made the segmentation.
    #[arg(long, value_name = "RUN")]
    model: Option<PathBuf>,
    /// The network with the best validation made the segmentation, not the last one.
    #[arg(long, requires = "model")]
    best: bool,
    /// Replace the mask of another reviewer.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    masks: MaskFlags,
}

impl CorrectionFlags {
    fn folder(&self) -> PathBuf {
        self.corrections.clone().unwrap_or_else(|| Corrections::folder_of(&self.cohort))
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.action {
        Action::Add(add) => run_add(add),
        Action::List(location) => run_list(location),
    }
}

fn run_add(args: &AddArgs) -> anyhow::Result<()> {
    let choice = if args.best { Choice::Best } else { Choice::Last };
    let addition = Addition {
        case: &args.case,
        mask: &args.mask,
        verdict: args.verdict,
        reviewer: &args.reviewer,
        model: args.model.as_ref().map(|run| model_id(run, choice)).transpose()?,
        replace: args.replace,
    };
    let (cohort, folder) = (Cohort::discover(&args.location.cohort)?, args.location.folder());
    let added = Corrections::add(&cohort, &folder, &addition, &args.masks.options())?;
    for note in &added.notes {
        eprintln!("note: {note}");
    }
    if args.location.json {
        return print_json(&added);
    }
    print_line(&line(&folder, &added.correction))?;
    added.replaced.map_or(Ok(()), |old| print_line(&format!("  replaces {}: {}", old.mask, old.describe())))
}

fn run_list(location: &CorrectionFlags) -> anyhow::Result<()> {
    let found = Corrections::read(&location.folder())?;
    for note in &found.notes {
        eprintln!("warning: {note}");
    }
    if location.json {
        return print_json(&found);
    }
    if found.masks.is_empty() {
        return print_line(&format!("no corrected masks in {}", found.folder.display()));
    }
    found.masks.iter().try_for_each(|mask| print_line(&line(&found.folder, mask)))
}

fn line(folder: &Path, mask: &Correction) -> String {
    let model = mask.model.as_ref().map_or_else(String::new, |model| format!(", segmented by {}", model.run));
    let path = folder.join(&mask.mask);
    format!("{}: {:.2} ml, {}{model}, {}", mask.case, mask.lesion_ml, mask.describe(), path.display())
}
