//! Finds, offers and discards unsaved edits of earlier sessions.

use std::path::{Path, PathBuf};

use engine::run::autosave::{UnsavedEdits, remove, unsaved_edits};

use crate::state::{Dialog, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One search at a time. The search for a case does not replace that for all cases: a folder opens its first case at once, and
/// the edits of the others would not be offered.
const ALL: Slot = Slot::exclusive("find unsaved edits");
const OF_CASE: Slot = Slot::exclusive("find unsaved edits of a case");
/// Several may be discarded.
const DISCARD: Slot = Slot::shared("discard unsaved edits");

/// Looks for unsaved edits of earlier sessions.
struct FindUnsavedEdits {
    folder: PathBuf,
    /// Only edits of this image.
    of: Option<PathBuf>,
}

/// Looks for edits of any case, or of the case with this image.
pub fn find(jobs: &mut Jobs, of: Option<&Path>) {
    if let Some(folder) = jobs.recorder.as_ref().map(|recorder| recorder.folder().to_path_buf()) {
        jobs.start(FindUnsavedEdits { folder, of: of.map(Path::to_path_buf) });
    }
}

/// Offers unsaved edits of the case just opened.
pub fn case_opened(state: &State, jobs: &mut Jobs) {
    if let Some(document) = &state.document {
        find(jobs, Some(document.base().path()));
    }
}

impl Job for FindUnsavedEdits {
    type Output = (Vec<UnsavedEdits>, Vec<engine::Error>);

    fn spec(&self) -> Spec {
        Spec::new(if self.of.is_some() { OF_CASE } else { ALL }, "Looking for unsaved edits").hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<Self::Output, Failure> {
        let same = |path: &Path, of: &Path| {
            path == of || path.canonicalize().ok().zip(of.canonicalize().ok()).is_some_and(|(a, b)| a == b)
        };
        let is_wanted = |image: Option<&Path>| match &self.of {
            Some(of) => image.is_some_and(|image| same(image, of)),
            None => true,
        };
        Ok(unsaved_edits(&self.folder, |case| is_wanted(case.images.first().map(|(_, path, _)| path.as_path())))?)
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        let (found, errors) = match result {
            Ok(found) => found,
            Err(failure) => return failure.report("Looking for unsaved edits", state),
        };
        for error in errors {
            state.error("Unsaved edits cannot be restored", error);
        }
        let of_other_case = self
            .of
            .as_ref()
            .is_some_and(|of| state.document.as_ref().is_none_or(|document| document.base().path() != of));
        if of_other_case {
            return;
        }
        let shown = match &state.dialog {
            Some(Dialog::UnsavedEdits { path }) => Some(path),
            _ => None,
        };
        // The newest is offered first, so it goes on top. Both searches may find the same edits.
        let offers = &mut state.unsaved_edits.offers;
        offers.retain(|path| found.iter().all(|left| left.path != *path));
        offers.extend(found.iter().rev().map(|left| left.path.clone()).filter(|path| Some(path) != shown));
        state.unsaved_edits.found.retain(|known| found.iter().all(|left| left.path != known.path));
        state.unsaved_edits.found.extend(found);
        offer_next(state);
    }
}

/// Asks about the next unsaved edits.
pub fn offer_next(state: &mut State) {
    if state.dialog.is_none()
        && let Some(path) = state.unsaved_edits.offers.pop()
    {
        state.dialog = Some(Dialog::UnsavedEdits { path });
    }
}

/// Deletes a journal of unsaved edits.
struct DiscardUnsavedEdits(PathBuf);

/// Deletes unsaved edits.
pub fn discard(state: &mut State, jobs: &mut Jobs, path: &Path) {
    state.unsaved_edits.found.retain(|left| left.path != path);
    jobs.start(DiscardUnsavedEdits(path.to_path_buf()));
}

impl Job for DiscardUnsavedEdits {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(DISCARD, "Discarding unsaved edits").hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<(), Failure> {
        remove(&self.0);
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        if let Err(failure) = result {
            failure.report("Discarding unsaved edits", state);
        }
    }
}
