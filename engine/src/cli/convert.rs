//! `amlp convert`: converts DICOM to a cohort of NIfTI files.

use std::path::PathBuf;

use super::files::PartialFailure;
use super::{interruptible, print_json, print_line, use_threads};
use crate::cohort::ExcludedScan;
use crate::cohort::convert::{ConvertOptions, ConvertedPatient, RefusedImage, convert};
use crate::words::plural;

pub const EXAMPLES: &str = "Examples:
  amlp convert /media/DICOM --out cohort
  amlp convert export1 export2.zip --out cohort --key ../keys/cohort.tsv
  amlp convert export --out cohort --resample      (uneven or tilted slices too)

Patients get pseudonyms. The key file links them to the patients, so store it apart from the cohort. conversion.json \
lists refused images and the reasons. To continue an interrupted conversion, run the same command again; finished \
patients are skipped.

The pixels are not de-identified: faces and burned-in text stay.";

#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Files, folders, zip archives or DICOMDIRs.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Folder for the cohort.
    #[arg(long, value_name = "COHORT")]
    out: PathBuf,
    /// Key file of the pseudonyms, outside the cohort [default: COHORT.key.tsv].
    #[arg(long, value_name = "FILE", conflicts_with = "keep_ids")]
    key: Option<PathBuf>,
    /// Name folders by patient id and keep UIDs. The cohort then identifies its patients.
    #[arg(long)]
    keep_ids: bool,
    /// Resample uneven or tilted slices to an even grid instead of refusing them.
    #[arg(long)]
    resample: bool,
    /// Convert finished patients again.
    #[arg(long)]
    again: bool,
    /// CPU threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    use_threads(args.threads)?;
    let control = interruptible()?;
    let options =
        ConvertOptions { key: args.key.clone(), keep_ids: args.keep_ids, resample: args.resample, again: args.again };
    let mut failed = Ok(());
    let mut print_patient = |patient: &ConvertedPatient| {
        if !args.json && failed.is_ok() {
            failed = print_line(&line(patient));
        }
    };
    let report = convert(&args.sources, &args.out, &options, &control, &mut print_patient)?;
    failed?;
    if args.json {
        print_json(&report)?;
    }
    if !report.skipped.is_empty() {
        let objects = plural(report.skipped.len(), "object", "objects");
        eprintln!("amlp: skipped {objects}. conversion.json gives the reasons");
    }
    let left_out = report.refused.iter().map(|refused| ExcludedScan::new(&name(refused), refused.why.clone()));
    let done = report.patients.iter().map(ConvertedPatient::images_and_masks).sum();
    PartialFailure::check_of(["image or mask", "images and masks"], done, left_out.collect())
}

fn line(patient: &ConvertedPatient) -> String {
    let images: Vec<&str> = patient.files.keys().filter_map(|name| name.strip_suffix(".nii.gz")).collect();
    let before = if patient.finished_before { " (finished before)" } else { "" };
    let images = if images.is_empty() { "no image".into() } else { images.join(", ") };
    let mut text = format!("{}: {images}{before}", patient.patient);
    for warning in &patient.warnings {
        text += &format!("\n  {warning}");
    }
    text
}

/// Pseudonym, modality and hash of a refused image, such as `P0001 CT 3f2a90b1c4d5e6f7`.
fn name(refused: &RefusedImage) -> String {
    let parts = [refused.patient.as_deref().unwrap_or_default(), &refused.modality, &refused.id];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
