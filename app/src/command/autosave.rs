//! Commands about unsaved edits that an earlier start left behind.

use std::path::PathBuf;

use engine::cohort::ImageFile;

use super::action::List;
use super::{Command, intent};
use crate::state::{Dialog, Intent, Request, State};
use crate::worker::{Jobs, autosave};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutosaveCommand {
    /// Opens the case and restores its edits.
    Restore(PathBuf),
    /// Removes the edits.
    Discard(PathBuf),
    /// Leaves them for the next start, or until the case is opened again.
    Later,
    /// Asks about all that were left behind.
    Offer,
}

/// Carries out a command.
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
    // The others are asked about at the next start.
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

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let left = !state.unsaved_edits.found.is_empty() && !matches!(state.dialog, Some(Dialog::UnsavedEdits { .. }));
    list.add_if(left, "Edit", "Restore unsaved edits…", "", Command::Autosave(AutosaveCommand::Offer));
}
