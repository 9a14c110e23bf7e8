//! Lists the open DICOM folder again after a file was written to it, and after a restart.

use std::path::{Path, PathBuf};

use engine::volume::dicom::Library;

use super::thumbnails;
use crate::state::dicom::source_of;
use crate::state::{Document, ListedSeries, SeriesList, Slot, State};
use crate::worker::open::listed;
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Reads the headers of the folder.
struct RelistSeries {
    source: PathBuf,
    /// Identifies the new list.
    id: u64,
    /// It is not listed yet.
    restores: bool,
}

/// Lists the open folder again if it contains `written`.
pub(in crate::worker) fn after_writing(state: &State, jobs: &mut Jobs, written: &Path) {
    let source = state.series.as_ref().map(|list| list.source.clone());
    if let Some(source) = source.filter(|source| written.starts_with(source)) {
        let id = jobs.unused_id();
        jobs.start(RelistSeries { source, id, restores: false });
    }
}

/// Lists the series of the open case after a restart.
pub(in crate::worker) fn restore(jobs: &mut Jobs, source: PathBuf) {
    let id = jobs.unused_id();
    jobs.start(RelistSeries { source, id, restores: true });
}

impl Job for RelistSeries {
    type Output = SeriesList;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("relist"), "Listing the series").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<SeriesList, Failure> {
        let library = Library::scan(&self.source, &|_, _| handle.check().is_ok())?;
        Ok(listed(&self.source, &library, self.id))
    }

    fn apply(self, result: Result<SeriesList, Failure>, state: &mut State, jobs: &mut Jobs) {
        let mut list = match result {
            Ok(list) => list,
            Err(failure) => return failure.report(&self.spec().title, state),
        };
        let Some(before) = state.series.as_ref().filter(|before| before.source == list.source) else {
            let is_of_case = |document: &Document| source_of(document.base().path()) == list.source;
            // Otherwise another folder was opened meanwhile.
            if self.restores && state.series.is_none() && state.document.as_ref().is_some_and(is_of_case) {
                state.series = Some(SeriesList { browsing: false, ..list });
                thumbnails::start(state, jobs);
            }
            return;
        };
        list.browsing = before.browsing;
        let chosen = before.chosen.and_then(|id| before.get(id)).and_then(|series| list.same(series));
        list.chosen = chosen.map(|series| series.id);
        let pictures = |series: &mut ListedSeries| {
            if let Some(same) = before.same(series) {
                (series.thumbnail, series.error) = (same.thumbnail.clone(), same.error.clone());
            }
        };
        list.series_mut().for_each(pictures);
        let moved = |path: &mut PathBuf| {
            let known = before.series().find(|series| series.path == *path);
            if let Some(series) = known.and_then(|series| list.same(series)) {
                path.clone_from(&series.path);
            }
        };
        let masks = state.document.iter_mut().flat_map(|document| &mut document.masks);
        masks.flat_map(|mask| mask.path.iter_mut().chain(&mut mask.more_files)).for_each(moved);
        state.series = Some(list);
        thumbnails::start(state, jobs);
    }
}
