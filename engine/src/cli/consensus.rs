//! `amlp consensus`: combines the masks of several raters into one.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::files::keep_inputs;
use super::masks::MaskFlags;
use crate::metrics::consensus::{Method, Rater, consensus};
use crate::volume::nifti::write_label;
use crate::volume::seg::{open_segmentation, space_of};
use crate::volume::{LabelVolume, MaskOptions, Scale, Volume, VoxelData};
use crate::{Error, ErrorKind, Result};

pub const EXAMPLES: &str = "\
Examples:
  amlp consensus reader1.nii.gz reader2.nii.gz reader3.nii.gz --out majority.nii.gz
  amlp consensus reader*.nii.gz --method staple --out staple.nii.gz --json";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Masks on the same grid, 2 to 64.
    #[arg(required = true, num_args = 2.., value_name = "MASK")]
    inputs: Vec<PathBuf>,
    /// File for the consensus: .nii or .nii.gz.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How masks are combined.
    #[arg(long, value_name = "METHOD", value_enum, default_value_t)]
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

/// A volume with the geometry and header of the result: those of the first mask's file. SEGs are cropped to their slices, so
/// they get a grid that covers all masks.
fn grid_of(inputs: &[PathBuf], options: &MaskOptions) -> Result<Volume> {
    let Some(file) = open_segmentation(&inputs[0]) else { return Volume::read(&inputs[0]) };
    let space = Some(Arc::new(space_of(&file, None)?));
    let mut grid = LabelVolume::read_with(&inputs[0], options)?.0.grid;
    for path in &inputs[1..] {
        if let Some(larger) = LabelVolume::read_with(path, options)?.0.grid.union(&grid) {
            grid = larger;
        }
    }
    Ok(Volume { space, ..Volume::new(grid, VoxelData::U8(Vec::new()), Scale::IDENTITY) })
}

/// Names both masks in an error about their grids.
fn naming_masks(error: Error, [mask, first]: [&PathBuf; 2]) -> Error {
    let ErrorKind::Geometry { difference, left, right, .. } = error.kind() else { return error };
    let (difference, left, right) = (difference.clone(), left.clone(), right.clone());
    let what = format!("masks {} and {}", mask.display(), first.display());
    ErrorKind::Geometry { what, difference, left, right }.into()
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    keep_inputs(&args.out, args.inputs.iter())?;
    let like = grid_of(&args.inputs, &args.masks.options())?;
    let mut notes = Vec::new();
    let read = |path: &PathBuf| -> Result<LabelVolume> {
        let aligned = LabelVolume::read_frame_for(path, &like, 0, &args.masks.options());
        let aligned = aligned.map_err(|error| naming_masks(error, [path, &args.inputs[0]]))?;
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
