//! Restores unsaved edits of an earlier session.

use std::path::Path;
use std::sync::Arc;

use engine::edit::EditLabels;
use engine::edit::journal::Replay;
use engine::run::autosave::{Autosave, UnsavedEdits};
use engine::volume::{Relation, Volume};
use engine::words::plural;

use super::recorder::Recording;
use crate::state::edit::Edits;
use crate::state::{CaseId, MaskLayer, MaskRole, Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, edit};

/// One journal at a time.
const SLOT: Slot = Slot::exclusive("restore edits");

/// Replays a journal on the open case.
struct RestoreJob {
    case: CaseId,
    left: UnsavedEdits,
    image: Arc<Volume>,
    /// The segmentation currently in its file.
    mask: Option<EditLabels>,
}

struct RestoredEdits {
    autosave: Autosave,
    replay: Replay,
    /// The file of the segmentation has not changed since it was edited.
    same_file: bool,
}

/// Restores the edits of the open case.
pub fn restore(state: &mut State, jobs: &mut Jobs, path: &Path) {
    let Some(document) = &state.document else { return };
    let Some(left) = state.unsaved_edits.found.iter().find(|left| left.path == path).cloned() else { return };
    let mask = document.segmentation().filter(|mask| !mask.is_unsaved()).map(|mask| mask.labels.clone());
    let (case, image) = (document.id, Arc::clone(&document.base().volume));
    jobs.start(RestoreJob { case, left, image, mask });
}

impl Job for RestoreJob {
    type Output = RestoredEdits;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Restoring the edits of {}", self.left.case.title)).of_case(self.case)
    }

    fn run(&self, _: &JobHandle) -> Result<RestoredEdits, Failure> {
        let (autosave, replay) = Autosave::resume(&self.left.path)?;
        let (grid, title) = (replay.header.grid(), &self.left.case.title);
        if grid.relation(&self.image.grid) != Relation::Same {
            let (of_edits, of_image) = (grid.describe(), self.image.grid.describe());
            return Err(Failure::Error(format!(
                "{title}: the edits belong to {of_edits}, but the image has {of_image}"
            )));
        }
        let (of_edits, of_image) = (replay.labels.frames(), self.image.file_frames);
        if of_edits != 1 && of_edits != of_image {
            let [of_edits, of_image] = [of_edits, of_image].map(|frames| plural(frames, "frame", "frames"));
            return Err(Failure::Error(format!(
                "{title}: the edits belong to {of_edits}, but the image has {of_image}"
            )));
        }
        let is_edited = |mask: &EditLabels| mask.sha256() == replay.header.opened_sha256;
        let same_file = self.left.case.mask.is_some() && self.mask.as_ref().is_some_and(is_edited);
        Ok(RestoredEdits { autosave, replay, same_file })
    }

    fn apply(self, result: Result<RestoredEdits, Failure>, state: &mut State, jobs: &mut Jobs) {
        let title = self.spec().title;
        let RestoredEdits { autosave, replay, same_file } = match result {
            Ok(restored) => restored,
            Err(failure) => return failure.report(&title, state),
        };
        let new_base = jobs.unused_id();
        let records: Vec<_> = replay.in_effect().into_iter().cloned().collect();
        let revisions: Vec<u64> = records.iter().map(|_| jobs.unused_id()).collect();
        let Some(document) = &mut state.document else { return };
        let file = document.remove_mask(MaskRole::Segmentation).filter(|_| same_file);
        let base = file.as_ref().map_or(new_base, |mask| mask.revision);
        document.edits = Edits::default();
        let mut revision = base;
        for (record, after) in records.iter().zip(revisions) {
            let delta = record.changes.unpack();
            document.edits.list.push_labels(&record.effect(), &delta, [revision, after]);
            revision = after;
        }
        let mask = MaskLayer::new(MaskRole::Segmentation, replay.labels, revision);
        let styles = self.left.case.labels.clone();
        document.set_mask(match file {
            Some(MaskLayer { path, more_files, algorithm, styles: saved, .. }) => {
                let (styles_changed, saved_revision) = (styles != saved, Some(base));
                MaskLayer { path, more_files, styles, styles_changed, saved_revision, algorithm, ..mask }
            }
            None => MaskLayer { styles, ..mask },
        });
        document.name_labels();
        document.forget_results();
        let count = plural(self.left.names.len(), "edit", "edits");
        let copied = self.left.case.mask.as_ref().filter(|_| !same_file).map(|path| {
            format!("{} has changed since it was edited. The edits are restored as an unsaved copy.", path.display())
        });
        let cut = replay.cut.map(|cut| format!("The last edit was left out: {}.", cut.why));
        let detail: Vec<String> = copied.into_iter().chain(cut).collect();
        let severity = if detail.is_empty() { Severity::Info } else { Severity::Warning };
        state.notice(severity, format!("{count} restored on {}", self.left.case.title), detail.join(" "));
        state.unsaved_edits.found.retain(|left| left.path != self.left.path);
        state.session.view.finding = None;
        if let Some(recorder) = &mut jobs.recorder {
            recorder.adopt(autosave, Recording { case: self.case, base, revision });
        }
        edit::masks_replaced(state, jobs);
    }
}
