//! Saving a mask on exactly the image's grid: as NIfTI, or as DICOM SEG.

mod seg;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::edit::EditLabels;
use engine::volume::dicom::{DicomFile, Tag, is_dicom};
use engine::volume::{LabelTable, LabelVolume, MaskOptions, Volume, nifti};

use self::seg::SegFile;
use super::{Failure, Job, JobHandle, Jobs, Spec, segment, series};
use crate::state::names::file_name;
use crate::state::names::with_ending;
use crate::state::{CaseId, Dialog, Document, ImageLayer, MaskRole, PathPurpose, Severity, Slot, State};

/// Several files may be written at once.
pub const SLOT: Slot = Slot::shared("save");

/// Proposed file name for a mask of the open case: a SEG if the image is DICOM with evenly spaced slices. A reference's
/// name differs from its source file.
pub fn proposed_name(state: &State, role: MaskRole) -> String {
    let stem = state.document.as_ref().map_or_else(|| "case".into(), |document| document.default_output().1);
    let ending = ending(state.document.as_ref(), role);
    match role {
        MaskRole::Segmentation => format!("{stem}_pred.{ending}"),
        MaskRole::Reference => format!("{stem}_resampled_mask.{ending}"),
    }
}

/// The extension of a mask's file. A SEG has one frame.
fn ending(document: Option<&Document>, role: MaskRole) -> &'static str {
    let dicom = document.and_then(Document::dicom);
    let several = document.and_then(|document| document.mask(role)).is_some_and(|mask| mask.labels.frames() > 1);
    if !several && dicom.is_some_and(|dicom| dicom.irregular.is_none()) { "dcm" } else { "nii.gz" }
}

/// Proposed path: that name beside the image, whether or not the file exists.
pub fn proposed_path(state: &State, role: MaskRole) -> PathBuf {
    let folder = state.document.as_ref().map(|document| document.default_output().0);
    folder.unwrap_or_default().join(proposed_name(state, role))
}

/// Writes a mask.
struct SaveJob {
    case: CaseId,
    role: MaskRole,
    revision: u64,
    path: PathBuf,
    /// An existing file may be replaced.
    overwrite: bool,
    labels: EditLabels,
    /// Its label table, written next to a NIfTI file.
    table: Option<LabelTable>,
    /// Further content of a SEG; `None` for a NIfTI file.
    seg: Option<SegFile>,
    image: Arc<Volume>,
    /// Scans of the case and of the list with the name of `path`. They are never replaced.
    scans: Vec<PathBuf>,
}

enum SaveOutcome {
    /// Written, with notes on changes to the labels.
    Written(Vec<String>),
    /// The file exists, and the user has not confirmed replacing it.
    Exists,
}

/// Saves a mask of the open case. An existing file is replaced only if `overwrite`.
pub fn to(state: &mut State, jobs: &mut Jobs, role: MaskRole, path: &Path, overwrite: bool) {
    let Some(document) = &state.document else { return };
    let Some(mask) = document.mask(role) else {
        state.error("Nothing to save", format!("This case has no {}.", role.word()));
        return;
    };
    if role == MaskRole::Segmentation && jobs.runs(segment::SLOT) {
        state.after_saving = None;
        state.error("Nothing was saved", "The network is still segmenting. Let it finish, or cancel it.");
        return;
    }
    let (case, revision) = (document.id, mask.revision);
    let path = with_ending(path.to_path_buf(), ending(Some(document), role));
    let (labels, image) = (mask.labels.clone(), Arc::clone(&document.base().volume));
    let table = document.table_to_save(role, &state.session.view.hidden_labels, &state.session.edit.locked);
    let seg = SegFile::of(document, role, &path);
    let listed = state.cases.cases.iter().flat_map(|case| case.images.values().map(|file| file.path.as_path()));
    let scans = document.images.iter().map(ImageLayer::path).chain(listed);
    let scans = scans.filter(|scan| scan.file_name() == path.file_name()).map(Path::to_path_buf).collect();
    jobs.start(SaveJob { case, role, revision, path, overwrite, labels, table, seg, image, scans });
}

impl Job for SaveJob {
    type Output = SaveOutcome;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Saving {}", file_name(&self.path))).of_case(self.case)
    }

    fn run(&self, _: &JobHandle) -> Result<SaveOutcome, Failure> {
        let Self { path, labels, image, .. } = self;
        if path.exists() {
            if self.scans.iter().any(|scan| is_same_file(scan, path)) || is_dicom_image(path) {
                let why = format!("a {} does not replace a scan. Choose another name.", self.role.word());
                return Err(Failure::Error(format!("{}: {why}", path.display())));
            }
            if !self.overwrite {
                return Ok(SaveOutcome::Exists);
            }
        }
        // Check before writing: never write labels of another grid.
        labels.grid().require_same(&image.grid, || format!("the {} and its image", self.role.word()))?;
        let frames: Vec<LabelVolume> = labels.to_volumes().collect();
        match (&self.seg, &frames[..]) {
            (None, _) => {}
            (Some(seg), [labels]) => return Ok(SaveOutcome::Written(seg.write(path, labels)?)),
            (Some(_), _) => {
                let why = "a DICOM SEG contains one mask, not one for each frame. Save it as .nii.gz";
                return Err(Failure::Error(format!("{}: {why}", path.display())));
            }
        }
        nifti::replace_labels(path, &frames, image)?;
        check_written(path, &frames, image)?;
        if let Some(table) = &self.table {
            table.write(&LabelTable::path_beside(path))?;
        }
        Ok(SaveOutcome::Written(Vec::new()))
    }

    fn apply(self, result: Result<SaveOutcome, Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok(SaveOutcome::Written(ref notes)) => {
                self.report_written(state, notes);
                self.list(state);
                if self.seg.is_some() {
                    series::relist::after_writing(state, jobs, &self.path);
                }
                let (hidden, locked) = (&state.session.view.hidden_labels, &state.session.edit.locked);
                let table = state.document.as_ref().and_then(|d| d.table_to_save(self.role, hidden, locked));
                if let Some(mask) = state.document.as_mut().and_then(|d| d.mask_mut(self.role)) {
                    mask.styles_changed &= table != self.table;
                    // Changes made during the write stay unsaved. The file has all regions of a reference.
                    (mask.saved_revision, mask.path, mask.more_files) =
                        (Some(self.revision), Some(self.path), Vec::new());
                }
                match state.after_saving.take() {
                    Some(next) if state.document.as_ref().is_some_and(Document::is_unsaved) => {
                        state.dialog = Some(Dialog::Unsaved { next });
                    }
                    next => state.intents.extend(next),
                }
            }
            Ok(SaveOutcome::Exists) => {
                let request = state.path_request(PathPurpose::save(self.role));
                state.dialog = Some(Dialog::Overwrite { request, path: self.path });
            }
            Err(failure) => {
                // The pending intent would discard the segmentation.
                state.after_saving = None;
                failure.report(&self.spec().title, state);
            }
        }
    }

    fn apply_late(self, result: Result<SaveOutcome, Failure>, state: &mut State) {
        match result {
            Ok(SaveOutcome::Written(notes)) => self.report_written(state, &notes),
            Ok(SaveOutcome::Exists) => {
                let why = format!("{} already exists, and its case is closed.", self.path.display());
                state.error(format!("The {} was not saved", self.role.word()), why);
            }
            Err(Failure::Cancelled) => {}
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

impl SaveJob {
    /// Records the file in the list of cases, so that the case opens with it from now on.
    fn list(&self, state: &mut State) {
        let listed = state.document.as_ref().and_then(|document| document.listed);
        if let (MaskRole::Segmentation, Some(case)) = (self.role, listed.and_then(|case| state.cases.get_mut(case))) {
            case.segmentation = Some(self.path.clone());
        }
    }

    fn report_written(&self, state: &mut State, notes: &[String]) {
        for note in notes {
            state.notice(Severity::Warning, format!("Note on the {}", self.role.word()), note);
        }
        state.notice(Severity::Info, format!("{} saved", self.role.name()), self.path.display().to_string());
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Whether a file is DICOM, but not a SEG.
fn is_dicom_image(path: &Path) -> bool {
    let modality = || DicomFile::open(path).ok()?.data.text(Tag::MODALITY);
    path.is_file() && is_dicom(path) && modality().is_none_or(|modality| modality != "SEG")
}

/// Checks after writing that the file has the same labels at the same positions.
fn check_written(path: &Path, frames: &[LabelVolume], image: &Volume) -> Result<(), Failure> {
    let written = LabelVolume::read_frames_for(path, image, MaskOptions::default())?;
    for (frame, labels) in frames.iter().enumerate() {
        if written.frames() != frames.len() || written.read(frame)?.labels.data != labels.data {
            return Err(Failure::Error(format!("{}: the file differs from what was written to it", path.display())));
        }
    }
    Ok(())
}
