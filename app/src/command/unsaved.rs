//! Nothing that is not saved is lost without a question: what would lose it waits for the answer.

use std::path::Path;

use super::{Command, dispatch};
use crate::state::{Dialog, PathPurpose, State};
use crate::worker::{Jobs, dialog, open};

/// Holds a command back that would lose an unsaved segmentation, and asks. True if it was held back.
pub fn held_back(state: &mut State, command: &Command) -> bool {
    let held = state.document.as_ref().is_some_and(|d| d.unsaved) && loses_segmentation(command);
    if held {
        state.dialog = Some(Dialog::Unsaved { next: Box::new(command.clone()) });
    }
    held
}

/// Whether the open case's segmentation is gone after this.
fn loses_segmentation(command: &Command) -> bool {
    match command {
        Command::OpenRequest(_)
        | Command::Visit(_)
        | Command::OpenSample
        | Command::OpenCase(_)
        | Command::StepCase(_)
        | Command::CloseCase
        | Command::Segment
        | Command::RemoveMask { truth: false }
        | Command::Ask(PathPurpose::Files | PathPurpose::Folder | PathPurpose::Mask)
        | Command::UsePaths(PathPurpose::Folder | PathPurpose::Mask, _) => true,
        // Masks alone are laid on the open image: only a predicted one takes the segmentation's place.
        Command::UsePaths(PathPurpose::Files, paths) => !paths.iter().all(|path| is_reference(path)),
        _ => false,
    }
}

fn is_reference(path: &Path) -> bool {
    open::is_mask_name(path) && !open::file_stem(path).to_lowercase().contains("pred")
}

/// Gives the segmentation up and goes on with what was held back.
pub fn discard(state: &mut State, jobs: &mut Jobs) {
    if let Some(Dialog::Unsaved { next }) = state.dialog.take() {
        if let Some(document) = &mut state.document {
            document.unsaved = false;
        }
        dispatch(state, jobs, *next);
    }
}

/// Saves first; what comes next is done once the file is there, and not at all if it is not.
pub fn save_then(state: &mut State, jobs: &mut Jobs, next: Box<Command>) {
    (state.dialog, state.after_saving) = (None, Some(next));
    dialog::ask(state, jobs, PathPurpose::SaveMask);
}

/// The segmentation was saved: goes on with what waited for that.
pub fn saved(state: &mut State, jobs: &mut Jobs) {
    if let Some(next) = state.after_saving.take() {
        dispatch(state, jobs, *next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_the_segmentations_place_is_held_back() {
        let files = |names: &[&str]| Command::UsePaths(PathPurpose::Files, names.iter().map(Into::into).collect());
        assert!(!loses_segmentation(&files(&["case_seg.nii.gz"])));
        assert!(loses_segmentation(&files(&["case_pred.nii.gz"])));
        assert!(loses_segmentation(&files(&["case_seg.nii.gz", "other.nii.gz"])));
        assert!(loses_segmentation(&Command::StepCase(1)));
        assert!(!loses_segmentation(&Command::RemoveMask { truth: true }));
        assert!(!loses_segmentation(&Command::Save));
    }
}
