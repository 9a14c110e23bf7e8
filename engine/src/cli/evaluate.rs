//! `amlp evaluate`: compares segmentations with reference masks.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, bail};
use indicatif::ProgressBar;

use super::files::{FileFlags, PartialFailure};
use super::masks::MaskFlags;
use crate::cohort::split::{Part, Split};
use crate::evaluate::{Pairs, Report, Subset, Target, evaluate_pairs, find_split};
use crate::metrics::Options;
use crate::metrics::boundary::Boundary;
use crate::metrics::surface::Hd95;

/// Examples and definitions for `--help`.
pub const EXAMPLES: &str = "\
Examples:
  amlp evaluate --prediction out/P07.nii.gz --truth P07/seg.nii.gz
  amlp evaluate --prediction out --truth cohort --csv scores.csv
  amlp evaluate --prediction out --truth cohort --subset test --split runs/fine/split.json --json
  amlp evaluate --prediction out --truth labelsTr --label 1 --label 2 --label 1+2 --hd95 pooled

Without --label, every label except 0 counts as lesion, and the class is called label 1.

Metrics are computed in 3-D. Means are over cases. The notes say how empty masks are scored.

Lesions are 26-connected components. tp: reference lesions hit by at least one voxel. fn: reference lesions missed. \
fp: segmented lesions without a reference voxel.";

/// Compares segmentations with reference masks: Dice, sensitivity, precision, surface distances, volumes, lesions.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Segmentation, or a folder of segmentations named CASE.nii.gz. CASE_prob.nii.gz is ignored.
    #[arg(long, value_name = "FILE|FOLDER")]
    pub prediction: PathBuf,
    /// Reference mask, a folder of masks with the same names, or a cohort.
    #[arg(long, value_name = "FILE|FOLDER|COHORT")]
    pub truth: PathBuf,
    /// Evaluate only this label, or several labels as one class, such as 1+4. Repeatable.
    #[arg(long, value_name = "L")]
    pub label: Vec<Target>,
    /// Definition of HD95.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub hd95: Hd95,
    /// Boundary band of the boundary IoU.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub boundary: Boundary,
    /// Width of the boundary band in voxels [default: 2 % of an axial slice's diagonal].
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..))]
    pub boundary_width: Option<u32>,
    /// How masks are read.
    #[command(flatten)]
    pub masks: MaskFlags,
    /// Evaluate only this part of the split: train, val or test; or all cases with a reference. Cases without a segmentation
    /// are listed.
    #[arg(long, value_name = "PART", value_enum)]
    pub subset: Option<Part>,
    /// File of the split [default: split.json beside or above the segmentations].
    #[arg(long, value_name = "FILE", requires = "subset")]
    pub split: Option<PathBuf>,
    /// Write the rows as CSV to this file; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// How files are found, and whether all of them must be used.
    #[command(flatten)]
    pub files: FileFlags,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    fn csv_to_stdout(&self) -> bool {
        self.csv.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    fn subset(&self) -> anyhow::Result<Subset> {
        Ok(match (self.subset, &self.split) {
            (None, _) => Subset::Segmented,
            (Some(Part::All), None) => Subset::AllReferences,
            (Some(part), split) => {
                let file = split.clone().map_or_else(|| find_split(&self.prediction), Ok)?;
                let cases: BTreeSet<String> = Split::read(&file)?.part(part).into_iter().collect();
                if cases.is_empty() {
                    bail!("{}: this part of the split is empty", file.display());
                }
                Subset::Cases(cases)
            }
        })
    }
}

/// Evaluates all cases, with a progress bar on stderr if it is a terminal.
pub fn report(args: &Args) -> anyhow::Result<Report> {
    let targets = if args.label.is_empty() { vec![Target::Any] } else { args.label.clone() };
    let options = Options {
        hd95: args.hd95,
        boundary: args.boundary,
        boundary_width: args.boundary_width.map(|width| width as usize),
    };
    let pairs = Pairs::find_with(&args.prediction, &args.truth, &args.subset()?, &args.files.discover_options())?;
    let bar = if std::io::stderr().is_terminal() && pairs.found.len() > 1 {
        ProgressBar::new(pairs.found.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let report = evaluate_pairs(&pairs, &targets, &options, &args.masks.options_for(args.files.frame), &|done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(report?)
}

/// Evaluates and prints the report as a table, JSON or CSV.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments by value")]
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.json && args.csv_to_stdout() {
        bail!("--json and --csv - both write to standard output. Give --csv a file");
    }
    let report = report(&args)?;
    for warning in &report.warnings {
        eprintln!("warning: {warning}");
    }
    let done =
        report.cases.iter().filter(|row| row.measures.is_ok()).map(|row| &row.case).collect::<BTreeSet<_>>().len();
    if args.prediction.is_dir() {
        args.files.report(done, &report.left_out, &report.masks_left_out)?;
    }
    if args.csv_to_stdout() {
        super::print_text(&String::from_utf8(report.to_csv()?).context("CSV")?)?;
        return PartialFailure::check(done, report.left_out);
    }
    if let Some(path) = &args.csv {
        crate::disk::atomic::write_atomic(path, &report.to_csv()?)?;
    }
    if args.json { super::print_line(&report.to_json()?) } else { super::print_text(&report.to_table()) }?;
    PartialFailure::check(done, report.left_out)
}
