//! The middle slice of a series, shown while the others are read.

use std::sync::Arc;

use engine::volume::dicom::ImageStack;

use crate::state::{SeriesId, Slot, State, Thumbnail};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Longer side of the picture in pixels.
const SIDE: usize = 768;

struct FirstSlice {
    stack: ImageStack,
}

/// Reads the middle slice of a series that is being opened.
pub(super) fn start(state: &State, jobs: &mut Jobs, id: SeriesId) {
    let stack = state.series.as_ref().and_then(|list| list.get(id)?.stack().cloned());
    if let Some(stack) = stack {
        jobs.start(FirstSlice { stack });
    }
}

impl Job for FirstSlice {
    type Output = Thumbnail;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("first slice"), "Reading the middle slice").hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<Thumbnail, Failure> {
        Ok(super::picture(&self.stack, SIDE)?)
    }

    fn apply(self, result: Result<Thumbnail, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(picture) if state.opening().is_some() => state.cache.first_slice = Some(Arc::new(picture)),
            Ok(_) => {}
            // Errors are reported when the series is opened.
            Err(failure) => tracing::info!("no first slice: {}", failure.reason()),
        }
    }
}
