//! `amlp consensus`: combines the masks of several raters into one.

use std::path::PathBuf;

use serde::Serialize;

use super::masks::MaskFlags;
use crate::Result;
use crate::metrics::consensus::{Method, Rater, consensus};
use crate::volume::nifti::write_label;
use crate::volume::{LabelVolume, Volume};

pub const EXAMPLES: &str = "\
Examples:
  amlp consensus reader1.nii.gz reader2.nii.gz reader3.nii.gz --out majority.nii.gz
  amlp consensus reader*.nii.gz --method staple --out staple.nii.gz --json";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Two or more masks on the same grid.
    #[arg(required = true, num_args = 2.., value_name = "MASK")]
    inputs: Vec<PathBuf>,
    /// File for the consensus: .nii or .nii.gz.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How masks are combined.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// How masks are read.
    #[command(flatten)]
    masks: MaskFlags,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Report {
    method: Method,
    volume_ml: f64,
    inputs: Vec<Input>,
    rounds: usize,
    converged: bool,
}

/// An input mask, with STAPLE's estimates for its rater.
#[derive(Serialize)]
struct Input {
    file: String,
    volume_ml: f64,
    rater: Option<Rater>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    // Geometry and header of the result come from the first mask's file.
    let like = Volume::read(&args.inputs[0])?;
    let mut notes = Vec::new();
    let read = |path: &PathBuf| -> Result<LabelVolume> {
        let aligned = LabelVolume::read_frame_for(path, &like, 0, &args.masks.options())?;
        notes.extend(aligned.notes.iter().map(|note| format!("{}: {note}", path.display())));
        Ok(aligned.labels)
    };
    let masks = args.inputs.iter().map(read).collect::<Result<Vec<_>>>()?;
    let found = consensus(&masks.iter().collect::<Vec<_>>(), args.method)?;
    if !found.converged {
        notes.push(format!("STAPLE has not converged after {} rounds", found.rounds));
    }
    write_label(&args.out, &found.labels, &like)?;
    for note in &notes {
        eprintln!("note: {note}");
    }
    let input = |(at, (path, mask)): (usize, (&PathBuf, &LabelVolume))| Input {
        file: path.display().to_string(),
        volume_ml: mask.volume_ml(),
        rater: found.raters.get(at).copied(),
    };
    let inputs: Vec<Input> = args.inputs.iter().zip(&masks).enumerate().map(input).collect();
    let report = Report {
        method: args.method,
        volume_ml: found.labels.volume_ml(),
        inputs,
        rounds: found.rounds,
        converged: found.converged,
    };
    if args.json {
        return super::print_json(&report);
    }
    for input in &report.inputs {
        let rater = input
            .rater
            .map(|rater| format!("  sensitivity {:.4}  specificity {:.6}", rater.sensitivity, rater.specificity));
        super::print_line(&format!("{}  {:.3} ml{}", input.file, input.volume_ml, rater.unwrap_or_default()))?;
    }
    super::print_line(&format!("{}  {:.3} ml", args.out.display(), report.volume_ml))
}
