//! Lists the open DICOM folder again after a file was written to it, and after a restart.

use std::path::{Path, PathBuf};

use engine::volume::dicom::Library;

use super::thumbnails;
use crate::state::dicom::place_of;
use crate::state::{Document, ListedSeries, SeriesList, Slot, State};
use crate::worker::open::listed;
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Reads the headers of the place.
struct Relist {
    place: PathBuf,
    /// Identifies the new list.
    id: u64,
    /// It is not listed yet.
    restores: bool,
}

/// Lists the open folder again if it contains `written`.
pub(in crate::worker) fn after_writing(state: &State, jobs: &mut Jobs, written: &Path) {
    let place = state.series.as_ref().map(|list| list.place.clone());
    if let Some(place) = place.filter(|place| written.starts_with(place)) {
        let id = jobs.unused_id();
        jobs.start(Relist { place, id, restores: false });
    }
}

/// Lists the place of the open case after a restart.
pub(in crate::worker) fn restore(jobs: &mut Jobs, place: PathBuf) {
    let id = jobs.unused_id();
    jobs.start(Relist { place, id, restores: true });
}

impl Job for Relist {
    type Output = SeriesList;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("relist"), "Listing the series").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<SeriesList, Failure> {
        let library = Library::scan(&self.place, &|_, _| handle.check().is_ok())?;
        Ok(listed(&self.place, &library, self.id))
    }

    fn apply(self, result: Result<SeriesList, Failure>, state: &mut State, jobs: &mut Jobs) {
        let mut list = match result {
            Ok(list) => list,
            Err(failure) => return failure.report(&self.spec().title, state),
        };
        let Some(before) = state.series.as_ref().filter(|before| before.place == list.place) else {
            let is_of_case = |document: &Document| place_of(document.base().path()) == list.place;
            // Else another place was opened meanwhile.
            if self.restores && state.series.is_none() && state.document.as_ref().is_some_and(is_of_case) {
                state.series = Some(SeriesList { browsing: false, ..list });
                thumbnails::start(state, jobs);
            }
            return;
        };
        list.browsing = before.browsing;
        let chosen = before.chosen.and_then(|id| before.get(id)).map(|series| series.path.clone());
        let chosen = list.series().find(|series| Some(&series.path) == chosen.as_ref()).map(|series| series.id);
        list.chosen = chosen;
        let pictures = |series: &mut ListedSeries| {
            if let Some(same) = before.series().find(|same| same.path == series.path) {
                (series.thumbnail, series.error) = (same.thumbnail.clone(), same.error.clone());
            }
        };
        list.series_mut().for_each(pictures);
        state.series = Some(list);
        thumbnails::start(state, jobs);
    }
}
