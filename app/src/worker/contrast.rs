//! Window and level between percentiles of a whole scan.

use std::sync::Arc;

use engine::volume::Volume;

use super::{Failure, Job, JobHandle, Jobs, Spec};
use crate::scene::WindowLevel;
use crate::state::{CaseId, Slot, State};

/// Finds two percentiles of a scan.
struct FindWindow {
    case: CaseId,
    /// Index of the image in the case.
    image: usize,
    volume: Arc<Volume>,
    frame: usize,
    /// In percent.
    percentiles: [f64; 2],
}

/// Sets window and level of the shown image between two percentiles, in percent.
pub fn start(state: &State, jobs: &mut Jobs, percentiles: [f64; 2]) {
    let Some(document) = &state.document else { return };
    let (case, image, layer) = (document.id, document.shown, document.image());
    jobs.start(FindWindow { case, image, volume: Arc::clone(&layer.volume), frame: layer.held_frame(), percentiles });
}

impl Job for FindWindow {
    type Output = Option<WindowLevel>;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("contrast"), "Finding the contrast").of_case(self.case).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Self::Output, Failure> {
        let values = self.volume.percentiles(self.frame, &self.percentiles);
        Ok(values.map(|values| WindowLevel::of_range(values[0], values[1])))
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(Some(window)) => state.set_window(self.image, window),
            // Colour images and scans without a finite value have no window.
            Ok(None) => {}
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
