//! Evaluation of a fine-tuned run on its held-out patients: segmentations, measures and worst slices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cohort::split::Split;
use crate::cohort::{Case, ExcludedScan, Selection, summary};
use crate::config::DataConfig;
use crate::device::Compute;
use crate::evaluate::Mean;
use crate::event::Control;
use crate::findings::compare;
use crate::metrics::{Measures, Options, measure};
use crate::predict::{Choice, Segmenter};
use crate::preprocess::read_case;
use crate::run::RunFolder;
use crate::run::checkpoint;
use crate::run::evaluation::{self, StagedEvaluation};
use crate::volume::LabelVolume;
use crate::volume::nifti::write_label;
use crate::{Error, ErrorKind, Result};

/// Version of `evaluation.json`.
const VERSION: u32 = 1;

/// A scan of a held-out patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientRow {
    /// Id of the scan.
    pub case: String,
    /// The patient; means are over patients. Empty in evaluations of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub patient: String,
    /// The images that were segmented, by modality.
    pub images: BTreeMap<String, PathBuf>,
    /// The frame of each image that is a frame of a 4-D file, by modality.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frames: BTreeMap<String, usize>,
    /// The reference mask.
    pub truth: Option<PathBuf>,
    /// Further files of the reference mask, whose labels are added to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_truth: Vec<PathBuf>,
    /// The segmentation, on the first image's grid.
    pub mask: PathBuf,
    /// Agreement of segmentation and reference; `None` without a reference. All labels together count as lesion.
    pub measures: Option<Measures>,
    /// The slice of the first image (from 0, along its axis nearest to S-I) with the lowest Dice, among those where the
    /// segmentation or the reference has a voxel.
    pub worst_slice: Option<usize>,
    /// Dice of the worst slice.
    pub worst_dice: Option<f64>,
}

impl PatientRow {
    /// The files of the reference mask, which is their union.
    pub fn reference(&self) -> Vec<PathBuf> {
        self.truth.iter().chain(&self.more_truth).cloned().collect()
    }
}

/// A run's held-out patients, measured (`evaluation/evaluation.json`, `evaluation-best/evaluation.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvaluation {
    /// Version of the document.
    pub version: u32,
    /// The held-out part of the split: `test`, or `val` if there are no test patients.
    pub part: String,
    /// Checkpoint that made the segmentations. Absent in evaluations of earlier versions, which used the last one.
    #[serde(default)]
    pub checkpoint: Choice,
    /// Epochs that the network was trained for.
    pub epoch: usize,
    /// Their scans, by id.
    pub patients: Vec<PatientRow>,
    /// The mean over patients with a reference, each with the mean over its scans.
    pub mean: Option<Mean>,
    /// Held-out scans that could not be segmented or measured, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<ExcludedScan>,
}

impl RunEvaluation {
    /// "used 6 of 8 scans, left out 2: ..." with the reasons; `None` if all held-out scans are measured.
    pub fn left_out_summary(&self) -> Option<String> {
        (!self.left_out.is_empty()).then(|| summary(self.patients.len(), &self.left_out, &[]))
    }
}

/// Segments the held-out patients of a fine-tuned run (the split's test patients, else its validation patients) with the
/// `choice` of its networks into `RUN/evaluation/CASE.nii.gz` (`RUN/evaluation-best/` for the best), measures them, and
/// stores the result with the masks. An earlier evaluation of this network stays until this one is complete. `progress`
/// receives the number of finished scans, the total, and the next scan's id.
///
/// # Errors
/// A pre-training run; a run without this network; one that another process works in; no patient that can be read;
/// [`ErrorKind::Cancelled`].
pub fn evaluate_run(
    run: &Path,
    choice: Choice,
    compute: &Compute,
    control: &Control,
    progress: &mut dyn FnMut(usize, usize, &str),
) -> Result<RunEvaluation> {
    let segmenter = Segmenter::load(run, choice, compute)?;
    let data = &segmenter.config().data;
    if data.cohort.as_os_str().is_empty() {
        return Err(Error::file(run, "names no cohort, so its held-out patients are unknown"));
    }
    let folder = RunFolder::resume(run)?;
    let (part, selection) = held_out(&folder, data)?;
    let (cases, mut left_out) = (selection.cases, selection.left_out);
    let epoch = choice.slots().iter().find_map(|slot| checkpoint::manifest(&folder, *slot).ok());
    let staged = StagedEvaluation::new(&folder, choice.slot())?;
    let mut patients = Vec::with_capacity(cases.len());
    for (done, case) in cases.iter().enumerate() {
        control.pass()?;
        progress(done, cases.len(), &case.id);
        let mask = evaluation::path(run, choice.slot(), &mask_name(&case.id)?);
        match evaluate_case(&segmenter, case, mask, Some(&staged), control) {
            Ok(row) => patients.push(row),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
            Err(error) => left_out.push(ExcludedScan::new(&case.id, error.to_string())),
        }
    }
    if let Some(first) = left_out.first().filter(|_| patients.is_empty()) {
        return Err(Error::config("patient", &first.case, &first.why));
    }
    let measured = patients.iter().filter_map(|row| Some((row.patient.as_str(), row.measures.as_ref()?)));
    let mean = Mean::by_patient(measured);
    let epoch = epoch.map_or(0, |manifest| manifest.epoch);
    let evaluation =
        RunEvaluation { version: VERSION, part: part.into(), checkpoint: choice, epoch, patients, mean, left_out };
    staged.finish(&evaluation)?;
    progress(cases.len(), cases.len(), "");
    Ok(evaluation)
}

/// The stored evaluation of a network of a run; `None` if it was never evaluated.
///
/// # Errors
/// A document that cannot be read, or of another version.
pub fn stored_evaluation(run: &Path, choice: Choice) -> Result<Option<RunEvaluation>> {
    let slot = choice.slot();
    let Some(mut stored) = evaluation::read::<RunEvaluation>(run, slot)? else { return Ok(None) };
    if stored.version != VERSION {
        let (path, found) = (evaluation::path(run, slot, "evaluation.json"), stored.version.to_string());
        return Err(ErrorKind::Version { path, found, supported: VERSION.to_string() }.into());
    }
    for row in &mut stored.patients {
        // The run may have been moved, and a document must not name files outside its folder.
        let name = row.mask.file_name().unwrap_or_default().to_string_lossy().into_owned();
        row.mask = evaluation::path(run, slot, &name);
    }
    Ok(Some(stored))
}

/// The part of a run's split that is held out, and its scans in the cohort.
pub(super) fn held_out(run: &RunFolder, data: &DataConfig) -> Result<(&'static str, Selection)> {
    let split: Split = run.read_split()?;
    let (part, ids) = if split.test.is_empty() { ("val", split.val) } else { ("test", split.test) };
    if ids.is_empty() {
        return Err(Error::file(&run.split_path(), "has no held-out patients to evaluate on"));
    }
    Ok((part, data.discover()?.select(&ids, &data.modality).require_some()?))
}

/// Segments and measures a case. The mask is written only if there is a `staged` evaluation.
pub(super) fn evaluate_case(
    segmenter: &Segmenter,
    case: &Case,
    mask: PathBuf,
    staged: Option<&StagedEvaluation<'_>>,
    control: &Control,
) -> Result<PatientRow> {
    let name = mask_name(&case.id)?;
    let modalities = &segmenter.config().data.modality;
    let (images, truth) = read_case(case, modalities, true, &segmenter.config().preprocess.masks())?;
    let segmentation = segmenter.segment(&images, &mut |_| {}, control)?.label;
    let source = images.first().ok_or_else(|| Error::config("case", &case.id, "has no image"))?;
    if let Some(staged) = staged {
        write_label(&staged.path_of(&name), &segmentation, source)?;
    }
    let mut row = PatientRow {
        case: case.id.clone(),
        patient: case.patient.clone(),
        images: modalities.iter().filter_map(|m| Some((m.clone(), case.images.get(m)?.path.clone()))).collect(),
        frames: modalities.iter().filter_map(|m| Some((m.clone(), case.images.get(m)?.frame?))).collect(),
        truth: truth.is_some().then(|| case.masks.first().cloned()).flatten(),
        more_truth: case.masks.iter().skip(1).cloned().collect(),
        mask,
        measures: None,
        worst_slice: None,
        worst_dice: None,
    };
    if let Some(truth) = truth {
        // The reference may be on the grid of another image of the patient.
        score(&mut row, &segmentation, &truth.on_grid(&segmentation.grid))?;
    }
    Ok(row)
}

/// Measures a segmentation against the reference on the same grid.
fn score(row: &mut PatientRow, segmentation: &LabelVolume, reference: &LabelVolume) -> Result<()> {
    let grid = &segmentation.grid;
    row.measures = Some(measure(&segmentation.inside(), &reference.inside(), grid, &Options::default())?);
    let slices = compare(segmentation, reference)?;
    if let Some(&worst) = slices.worst_first().first() {
        row.worst_slice = Some(grid.axial_slices().stored(worst));
        row.worst_dice = slices.slice_dice().get(worst).copied().flatten();
    }
    Ok(())
}

/// File name of a case's segmentation.
fn mask_name(case: &str) -> Result<String> {
    if case.is_empty() || case.starts_with('.') || case.contains(['/', '\\', '\0']) {
        return Err(Error::config("case", case, "cannot be the name of a file"));
    }
    Ok(format!("{case}.nii.gz"))
}
