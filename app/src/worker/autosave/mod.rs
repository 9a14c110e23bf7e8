//! Records unsaved edits on disk, offers them after a crash, and restores them.
//!
//! [`follow`] hands each change of the segmentation's labels to the [`Recorder`], which starts a journal at the first
//! change after opening or saving the mask, and removes it when nothing is unsaved.

mod find;
mod recorder;
mod restore;

use std::path::{Path, PathBuf};

use engine::run::autosave::EditedCase;

pub use find::{case_opened, discard, find, offer_next};
pub use recorder::Recorder;
use recorder::Recording;
pub use restore::restore;

use super::Jobs;
use crate::scene::Modality;
use crate::state::edit::UnrecordedChange;
use crate::state::{Document, MaskLayer, MaskRole, Source, State};

/// Starts recording edits in a folder, and looks for unsaved edits of earlier sessions.
pub fn start(state: &mut State, jobs: &mut Jobs, folder: &Path) {
    match Recorder::new(folder.to_path_buf(), jobs.wake.clone()) {
        Ok(recorder) => jobs.recorder = Some(recorder),
        Err(error) => return state.error("Unsaved edits would not survive a crash", error.to_string()),
    }
    find(jobs, None);
}

/// Records changes since the last call, and stops recording what was saved, undone or closed.
pub fn follow(state: &mut State, jobs: &mut Jobs) {
    let changes =
        state.document.as_mut().map(|document| std::mem::take(&mut document.edits.unrecorded)).unwrap_or_default();
    let Some(recorder) = &mut jobs.recorder else { return };
    if let Some(error) = recorder.take_failure() {
        recorder.recording = None;
        let what = format!("{error}. Save the segmentation often.");
        state.error("Unsaved edits would not survive a crash", what);
    }
    let Some(document) = &state.document else { return recorder.forget() };
    if recorder.recording.is_some_and(|recording| recording.case != document.id) {
        recorder.forget();
    }
    let Some(mask) = document.segmentation() else { return };
    let changes = completed_changes(document, mask, changes);
    if let Some(first) = changes.first() {
        let before = first.revisions[0];
        if recorder.recording.is_none_or(|recording| recording.revision != before) {
            let mut base = mask.labels.clone();
            let stroke = document.edits.stroke.as_ref().map(|stroke| &stroke.delta);
            let mut back = stroke.into_iter().chain(changes.iter().rev().map(|change| &change.delta));
            if !back.all(|delta| delta.inverted().apply(&mut base)) {
                return recorder.forget();
            }
            let recording = Recording { case: document.id, base: before, revision: before };
            recorder.begin(edited_case(document, before), base, recording);
        }
        changes.into_iter().for_each(|change| recorder.append(change));
    }
    if let Some(recording) = recorder.recording
        && recorder.labels != mask.styles
    {
        recorder.describe(edited_case(document, recording.base));
    }
    // Recorded edits stay recorded, for example during a stroke.
    let settled = |recording: Recording| {
        mask.revision == recording.revision && (!mask.is_unsaved() || recording.revision == recording.base)
    };
    if recorder.recording.is_some_and(settled) {
        recorder.forget();
    }
}

/// The changes that lead to the current labels, without a stroke in progress. Changes of a replaced mask are dropped.
fn completed_changes(
    document: &Document,
    mask: &MaskLayer,
    mut changes: Vec<UnrecordedChange>,
) -> Vec<UnrecordedChange> {
    let stroke = document.edits.stroke.as_ref().filter(|stroke| !stroke.delta.is_empty());
    let mut now = stroke.map_or(mask.revision, |stroke| stroke.revision);
    let mut from = changes.len();
    while from > 0 && changes[from - 1].revisions[1] == now {
        from -= 1;
        now = changes[from].revisions[0];
    }
    changes.split_off(from)
}

/// Discards the unsaved edits, as the user decided.
pub fn forget(jobs: &mut Jobs) {
    if let Some(recorder) = &mut jobs.recorder {
        recorder.forget();
    }
}

/// The files of a case whose edits start at a revision of its segmentation.
fn edited_case(document: &Document, base: u64) -> EditedCase {
    let image = |source: &Source| {
        let file = source.file();
        (file.path, file.frame)
    };
    let images = document.images.iter().map(|layer| {
        let (path, frame) = image(&layer.source);
        let modality = Some(&layer.info.modality).filter(|modality| **modality != Modality::Other);
        (modality.map(Modality::key), path, frame)
    });
    let segmentation = document.segmentation().filter(|mask| mask.saved_revision == Some(base));
    let mask: Option<PathBuf> = segmentation.and_then(|mask| mask.path.clone());
    let reference = document.mask(MaskRole::Reference).and_then(|mask| mask.path.clone());
    let labels = document.segmentation().map(|mask| mask.styles.clone()).unwrap_or_default();
    EditedCase { title: document.title.clone(), images: images.collect(), mask, reference, labels }
}
