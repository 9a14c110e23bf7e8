//! Saving a mask on exactly the image's grid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::edit::EditLabels;
use engine::volume::{LabelTable, LabelVolume, Volume, nifti};

use super::{Failure, Job, JobHandle, Jobs, Spec, segment};
use crate::state::intent::file_name;
use crate::state::names::{file_stem, with_ending};
use crate::state::{CaseId, Dialog, Document, MaskRole, PathPurpose, PathRequest, Severity, Slot, State};

/// Files are written side by side.
pub const SLOT: Slot = Slot::shared("save");

/// The name that is proposed for a mask of the open case. That of a reference tells it from the file it was made from.
pub fn proposed_name(state: &State, role: MaskRole) -> String {
    let stem = state.document.as_ref().map_or_else(|| "case".into(), |d| file_stem(d.base().path()));
    match role {
        MaskRole::Segmentation => format!("{stem}_pred.nii.gz"),
        MaskRole::Reference => format!("{stem}_resampled_mask.nii.gz"),
    }
}

/// The same beside the image, whether or not a file of this name exists.
pub fn proposed_path(state: &State, role: MaskRole) -> PathBuf {
    let folder = state.document.as_ref().and_then(|d| d.base().path().parent().map(Path::to_path_buf));
    folder.unwrap_or_default().join(proposed_name(state, role))
}

/// Writes a mask.
struct Save {
    case: CaseId,
    role: MaskRole,
    revision: u64,
    path: PathBuf,
    /// An existing file may be replaced.
    overwrite: bool,
    labels: EditLabels,
    /// The table of its labels, which is written beside it.
    table: Option<LabelTable>,
    image: Arc<Volume>,
}

enum SaveOutcome {
    Written,
    /// The file exists, and the user has not said that it may be replaced.
    Exists,
}

/// Saves a mask of the open case. An existing file is replaced only if `overwrite`.
pub fn to(state: &mut State, jobs: &mut Jobs, role: MaskRole, path: &Path, overwrite: bool) {
    let Some(document) = &state.document else { return };
    let Some(mask) = document.mask(role) else {
        state.error("Nothing to save", format!("There is no {} of this case.", role.word()));
        return;
    };
    if role == MaskRole::Segmentation && jobs.runs(segment::SLOT) {
        state.after_saving = None;
        state.error("Nothing was saved", "the segmentation is under way: let it finish, or cancel it");
        return;
    }
    let (case, revision, path) = (document.id, mask.revision, with_ending(path.to_path_buf(), "nii.gz"));
    let (labels, image) = (mask.labels.clone(), Arc::clone(&document.base().volume));
    let table = document.table_to_save(role, &state.session.view.hidden_labels, &state.session.edit.locked);
    jobs.start(Save { case, role, revision, path, overwrite, labels, table, image });
}

impl Job for Save {
    type Output = SaveOutcome;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Saving {}", file_name(&self.path))).of_case(self.case)
    }

    fn run(&self, _: &JobHandle) -> Result<SaveOutcome, Failure> {
        let Self { path, labels, image, .. } = self;
        if !self.overwrite && path.exists() {
            return Ok(SaveOutcome::Exists);
        }
        let labels = &labels.to_volume();
        // The guard before: labels that belong to another grid are never written as this image's.
        labels.grid.require_same(&image.grid, || format!("the {} and its image", self.role.word()))?;
        nifti::replace_label(path, labels, image)?;
        check_written(path, labels, image)?;
        if let Some(table) = &self.table {
            table.write(&LabelTable::path_beside(path))?;
        }
        Ok(SaveOutcome::Written)
    }

    fn apply(self, result: Result<SaveOutcome, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(SaveOutcome::Written) => {
                self.report_written(state);
                self.list(state);
                let (hidden, locked) = (&state.session.view.hidden_labels, &state.session.edit.locked);
                let table = state.document.as_ref().and_then(|d| d.table_to_save(self.role, hidden, locked));
                if let Some(mask) = state.document.as_mut().and_then(|d| d.mask_mut(self.role)) {
                    mask.styles_changed &= table != self.table;
                    // What changed while the file was written is still unsaved. The file holds all regions of a reference.
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
                let of = state.case_revision();
                let request = PathRequest { purpose: PathPurpose::save(self.role), of };
                state.dialog = Some(Dialog::Overwrite { request, path: self.path });
            }
            Err(failure) => {
                // What waited for the file would lose the segmentation.
                state.after_saving = None;
                failure.report(&self.spec().title, state);
            }
        }
    }

    fn apply_late(self, result: Result<SaveOutcome, Failure>, state: &mut State) {
        match result {
            Ok(SaveOutcome::Written) => self.report_written(state),
            Ok(SaveOutcome::Exists) => {
                let why = format!("{} already exists, and its case is closed", self.path.display());
                state.error(format!("The {} was not saved", self.role.word()), why);
            }
            Err(Failure::Cancelled) => {}
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

impl Save {
    /// The case of the list is opened with this segmentation from now on.
    fn list(&self, state: &mut State) {
        let listed = state.document.as_ref().and_then(|document| document.listed);
        if let (MaskRole::Segmentation, Some(case)) = (self.role, listed.and_then(|case| state.cases.get_mut(case))) {
            case.segmentation = Some(self.path.clone());
        }
    }

    fn report_written(&self, state: &mut State) {
        state.notice(Severity::Info, format!("{} saved", self.role.name()), self.path.display().to_string());
    }
}

/// The guard after: the file holds the same labels at the same places.
fn check_written(path: &Path, labels: &LabelVolume, image: &Volume) -> Result<(), Failure> {
    let (read, _) = LabelVolume::read_for(path, image)?;
    if read.data != labels.data {
        return Err(Failure::Error(format!("{}: the file does not hold what was written to it", path.display())));
    }
    Ok(())
}
