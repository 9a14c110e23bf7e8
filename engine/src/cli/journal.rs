//! `amlp journal`: lists the edits in an edit journal and restores its mask.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::files::keep_inputs;
use crate::cohort::ImageFile;
use crate::edit::journal::{Kind, Record, Replay, TruncatedTail};
use crate::run::journal::read;
use crate::volume::nifti::replace_labels;
use crate::volume::{LabelData, LabelVolume, Scale, Volume, VoxelData};
use crate::words::plural;

pub const EXAMPLES: &str = "Examples:
  amlp journal p01.edits
  amlp journal p01.edits --out restored.nii.gz --image p01/flair.nii.gz
  amlp journal p01.edits --out before.nii.gz --edits 12

The journal itself does not change.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Edit journal.
    file: PathBuf,
    /// File for the mask: .nii or .nii.gz.
    #[arg(long, value_name = "MASK")]
    out: Option<PathBuf>,
    /// Write the mask with the geometry of this image [default: the grid in the journal].
    #[arg(long, value_name = "FILE", requires = "out")]
    image: Option<PathBuf>,
    /// Replay only the first N records [default: all].
    #[arg(long, value_name = "N")]
    edits: Option<usize>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    opened_sha256: &'a str,
    shape: [usize; 3],
    frames: usize,
    edits: usize,
    cut_bytes: u64,
    cut: Option<&'a str>,
    records: Vec<Line<'a>>,
    /// Number of voxels of each label over all frames.
    label_voxels: BTreeMap<u16, usize>,
    label_volumes_ml: BTreeMap<u16, f64>,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time_ms: u64,
    kind: Kind,
    /// Name of the edit; in a compacted record, one line per edit.
    name: &'a str,
    /// The first frame that the record changed.
    frame: Option<usize>,
    voxels_changed: usize,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Self {
        let Record { seq, time_ms, kind, name, changes } = record;
        let frame = changes.unpack().frame();
        Self { seq: *seq, time_ms: *time_ms, kind: *kind, name, frame, voxels_changed: changes.voxels() }
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut replay = read(&args.file)?;
    if let Some(edits) = args.edits {
        replay.keep(edits).map_err(|why| crate::Error::config("--edits", edits, why))?;
    }
    if let Some(out) = &args.out {
        keep_inputs(out, args.image.iter().chain(std::iter::once(&args.file)))?;
        let like = match &args.image {
            Some(path) => ImageFile::with_frame(path.clone(), Some(0)).read()?,
            None => on_grid(&replay.labels.to_volume()),
        };
        replace_labels(out, &replay.labels.to_volumes().collect::<Vec<_>>(), &like)?;
    }
    if let Some(TruncatedTail { bytes, why }) = &replay.cut {
        let edits = plural(replay.records.len(), "edit is", "edits are");
        eprintln!(
            "note: {edits} intact. The {} after them were ignored: {why}",
            plural(*bytes as usize, "byte", "bytes")
        );
    }
    if args.json {
        return super::print_json(&report(&replay));
    }
    replay.records.iter().try_for_each(|record| {
        let Record { seq, name, changes, .. } = record;
        let (kind, voxels, names) = (kind_name(record.kind), changes.voxels(), name.replace('\n', "; "));
        super::print_line(&format!("{seq:5}  {kind:<5} {voxels:>9} voxels  {names}"))
    })
}

fn report(replay: &Replay) -> Report<'_> {
    let mut label_voxels = BTreeMap::new();
    for frame in replay.labels.to_volumes() {
        for (label, voxels) in frame.voxel_counts() {
            *label_voxels.entry(label).or_default() += voxels;
        }
    }
    let voxel_ml = replay.labels.grid().voxel_volume_ml();
    Report {
        opened_sha256: &replay.header.opened_sha256,
        shape: replay.header.shape,
        frames: replay.header.frames,
        edits: replay.records.len(),
        cut_bytes: replay.cut.as_ref().map_or(0, |cut| cut.bytes),
        cut: replay.cut.as_ref().map(|cut| cut.why.as_str()),
        records: replay.records.iter().map(Line::of).collect(),
        label_volumes_ml: label_voxels.iter().map(|(&label, &voxels)| (label, voxels as f64 * voxel_ml)).collect(),
        label_voxels,
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Edit => "edit",
        Kind::Undo => "undo",
        Kind::Redo => "redo",
        Kind::Edits => "edits",
    }
}

/// A volume without a header on the mask's grid.
fn on_grid(labels: &LabelVolume) -> Volume {
    let data = match &labels.data {
        LabelData::U8(v) => VoxelData::U8(v.clone()),
        LabelData::U16(v) => VoxelData::U16(v.clone()),
    };
    Volume::new(labels.grid.clone(), data, Scale::IDENTITY)
}
