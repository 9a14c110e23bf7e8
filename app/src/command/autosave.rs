//! Commands about unsaved edits of earlier sessions.

use std::path::PathBuf;

use engine::cohort::ImageFile;

use super::action::ActionList;
use super::{Command, intent};
use crate::state::{Dialog, Intent, Request, State};
use crate::worker::{Jobs, autosave};

/// A command about unsaved edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutosaveCommand {
    /// Opens the case and restores its edits.
    Restore(PathBuf),
    /// Deletes the edits.
    Discard(PathBuf),
    /// Keeps the edits; asks again at the next start or when the case is opened.
    Later,
    /// Asks about all unsaved edits, one case after the other.
    Offer,
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: AutosaveCommand) {
    match command {
        AutosaveCommand::Restore(path) => restore(state, jobs, path),
        AutosaveCommand::Discard(path) => {
            state.dialog = None;
            autosave::discard(state, jobs, &path);
            autosave::offer_next(state);
        }
        AutosaveCommand::Later => {
            state.dialog = None;
            autosave::offer_next(state);
        }
        AutosaveCommand::Offer => {
            state.dialog = None;
            autosave::find(jobs, None);
        }
    }
}

fn restore(state: &mut State, jobs: &mut Jobs, path: PathBuf) {
    // The next start asks about the other cases.
    (state.dialog, state.unsaved_edits.offers) = (None, Vec::new());
    let Some(case) = state.unsaved_edits.of(&path).map(|left| left.case.clone()) else { return };
    let image =
        |(modality, path, frame): (Option<String>, PathBuf, Option<usize>)| (modality, ImageFile { path, frame });
    let request = Request {
        title: Some(case.title),
        images: case.images.into_iter().map(image).collect(),
        segmentation: case.mask,
        reference: case.reference.into_iter().collect(),
        restore: Some(path),
        ..Request::default()
    };
    intent::dispatch(state, jobs, Intent::Open(Box::new(request)));
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let left = !state.unsaved_edits.found.is_empty() && !matches!(state.dialog, Some(Dialog::UnsavedEdits { .. }));
    list.add_if(left, "Edit", "Restore unsaved edits…", "", Command::Autosave(AutosaveCommand::Offer));
}
