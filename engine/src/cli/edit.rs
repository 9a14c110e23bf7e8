//! `amlp edit`: applies a list of edit operations to a mask, the same ones as the viewer's tools.

use std::path::PathBuf;

use serde::Serialize;

use super::files::keep_inputs;
use super::masks::MaskFlags;
use crate::cohort::ImageFile;
use crate::edit::history::MEMORY_BUDGET;
use crate::edit::journal::Kind;
use crate::edit::op_list::{self, ListedOp, Outcome};
use crate::edit::{EditLabels, History, Scene};
use crate::event::Control;
use crate::run::journal::Journal;
use crate::run::spill;
use crate::volume::nifti::replace_labels;
use crate::volume::{LabelVolume, Volume};
use crate::words::plural;
use crate::{Error, Result};

pub const EXAMPLES: &str = r#"Examples:
  amlp edit --image p01/flair.nii.gz --mask p01/seg.nii.gz --ops ops.json --out p01/corrected.nii.gz
  amlp edit --image ct.nii.gz --ops ops.json --out mask.nii.gz --json

ops.json: [{"op":"paint","label":1,"radius_mm":5,"mode":"3d","points_mm":[[12,-30,8]]},
           {"op":"grow","label":1,"mm":3},{"op":"interpolate","label":1,"axis":2},
           {"op":"remove_component","voxel":[40,60,12]},{"op":"undo"}]

World coordinates are in RAS+ mm. Voxels count from 0 in file order. `amlp manual operations` lists all operations."#;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image that the mask belongs to. Some operations use its values.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Mask to edit [default: an empty one].
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// Second mask, for the operations boolean and lasso.
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,
    /// JSON file with the list of operations.
    #[arg(long, value_name = "FILE")]
    ops: PathBuf,
    /// File for the edited mask: .nii or .nii.gz.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write an edit journal. An existing file is overwritten.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Edit this frame of a 4-D image, counted from 0.
    #[arg(long, value_name = "N")]
    frame: Option<usize>,
    /// How masks are read.
    #[command(flatten)]
    masks: MaskFlags,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    shape: [usize; 3],
    ops: &'a [Outcome],
    label_voxels: &'a std::collections::BTreeMap<u16, usize>,
    label_volumes_ml: std::collections::BTreeMap<u16, f64>,
    notes: &'a [String],
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    keep_inputs(&args.out, std::iter::once(&args.image).chain(&args.other))?;
    let text = std::fs::read_to_string(&args.ops).map_err(Error::io("read", &args.ops))?;
    let list = op_list::parse(&text).map_err(|error| Error::file(&args.ops, error.to_string()))?;
    let image = ImageFile::with_frame(args.image.clone(), args.frame).read()?;
    let mut notes = image.warnings.clone();
    let mut labels = match &args.mask {
        Some(path) => args.read_mask(path, &image, &mut notes)?,
        None => EditLabels::new(image.grid.clone()),
    };
    let other = args.other.as_ref().map(|path| args.read_mask(path, &image, &mut notes)).transpose()?;
    let scene = Scene { image: Some(&image), other: other.as_ref(), ..Scene::default() };
    let mut journal = args.journal.as_ref().map(|path| Journal::create(path, &labels)).transpose()?;
    let outcomes = edit(&list, &mut labels, &scene, journal.as_mut(), &args.ops)?;
    for (n, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| outcome.voxels_changed == 0) {
        notes.push(format!("operation {} ({}) changed nothing", n + 1, outcome.op));
    }
    replace_labels(&args.out, &labels.to_volumes().collect::<Vec<_>>(), &image)?;
    for note in &notes {
        eprintln!("note: {note}");
    }
    if args.json {
        let (label_voxels, label_volumes_ml) = (labels.voxel_counts(), labels.volumes_ml());
        let shape = labels.shape();
        return super::print_json(&Report { shape, ops: &outcomes, label_voxels, label_volumes_ml, notes: &notes });
    }
    outcomes.iter().enumerate().try_for_each(|(n, outcome)| super::print_line(&line(n, outcome)))
}

impl Args {
    fn read_mask(&self, path: &std::path::Path, image: &Volume, notes: &mut Vec<String>) -> Result<EditLabels> {
        let file = LabelVolume::read_frames_for(path, image, self.masks.options())?;
        let first = file.read(0)?;
        notes.extend(first.notes);
        let mut labels = EditLabels::from_volume(&first.labels);
        for frame in 1..file.frames() {
            labels.push_frame(&file.read(frame)?.labels)?;
        }
        labels.show(self.frame.unwrap_or(0));
        if file.frames() > 1 {
            let (path, frames) = (path.display(), plural(file.frames(), "frame", "frames"));
            notes.push(format!("{path}: has {frames}. Frame {} is used", labels.frame()));
        }
        Ok(labels)
    }
}

/// Runs all operations and appends each to the journal.
fn edit(
    list: &[ListedOp],
    labels: &mut EditLabels,
    scene: &Scene<'_>,
    mut journal: Option<&mut Journal>,
    ops: &std::path::Path,
) -> anyhow::Result<Vec<Outcome>> {
    // An interruption ends the program. Until all operations are done, only the journal is written.
    let control = Control::default();
    let mut history = History::new(MEMORY_BUDGET, spill::in_folder(&std::env::temp_dir())?);
    let mut outcomes = Vec::with_capacity(list.len());
    let mut failed_journal = false;
    let done = op_list::run(list, labels, &mut history, scene, &control, &mut |listed, outcome, delta| {
        outcomes.push(outcome.clone());
        let (kind, name) = match listed {
            ListedOp::Edit(op) => (Kind::Edit, op.title()),
            ListedOp::Undo => (Kind::Undo, listed.name().to_owned()),
            ListedOp::Redo => (Kind::Redo, listed.name().to_owned()),
        };
        let appended = journal.as_mut().map_or(Ok(()), |journal| journal.append(kind, &name, delta));
        failed_journal = appended.is_err();
        appended
    });
    match done {
        Err(error) if !failed_journal && matches!(error.kind(), crate::ErrorKind::Config { .. }) => {
            Err(Error::file(ops, error.to_string()).into())
        }
        done => Ok(done.map(|()| outcomes)?),
    }
}

/// One line per operation: number, name, changed voxels, volumes.
fn line(n: usize, outcome: &Outcome) -> String {
    let volume = |(label, ml): (&u16, &f64)| format!("label {label} {ml:.3} ml");
    let volumes: Vec<String> = outcome.label_volumes_ml.iter().map(volume).collect();
    format!("{:4}  {:<16} {:>9} voxels  {}", n + 1, outcome.op, outcome.voxels_changed, volumes.join(", "))
}
