//! The component of the network's probability under a click.

use std::sync::Arc;

use engine::edit::op::Place;
use engine::edit::{Delta, EditLabels, Op, Scene, plan};
use engine::volume::Volume;
use glam::DVec3;

use crate::state::{CaseId, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// The component for the last threshold is looked for.
pub const PREVIEW: Slot = Slot::exclusive("one click");

struct FindComponent {
    case: CaseId,
    at: DVec3,
    least: f64,
    label: u16,
    labels: EditLabels,
    probability: Arc<Volume>,
    locked: Vec<u16>,
}

/// Looks for the component of the preview of the open case.
pub fn look_for(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    let (Some(preview), Some(probability)) = (&document.edits.preview, &document.probability) else { return };
    let empty = || EditLabels::new(document.base().volume.grid.clone());
    jobs.start(FindComponent {
        case: document.id,
        at: preview.at,
        least: preview.least,
        label: state.session.edit.label,
        labels: document.segmentation().map_or_else(empty, |mask| mask.labels.clone()),
        probability: Arc::clone(&probability.volume),
        locked: state.session.edit.locked.clone(),
    });
}

impl Job for FindComponent {
    type Output = (Delta, EditLabels);

    fn spec(&self) -> Spec {
        Spec::new(PREVIEW, "Looking for the lesion under the click").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let place = Place { voxel: None, point_mm: Some(self.at.to_array()) };
        let op = Op::ThresholdGrow { label: self.label, place, min: Some(self.least), max: None, overwrite: false };
        let scene = Scene { image: Some(&self.probability), locked: &self.locked, ..Scene::default() };
        let delta = plan(&op, &self.labels, &scene, &handle.control)?;
        // Only background changes: the same changes of an empty mask are the component alone.
        let mut alone = EditLabels::new(self.labels.grid().clone());
        let fits = delta.apply(&mut alone);
        debug_assert!(fits, "all of it was background");
        Ok((delta, alone))
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        let preview = state.document.as_mut().and_then(|document| document.edits.preview.as_mut());
        let Some(preview) = preview.filter(|preview| (preview.at, preview.least) == (self.at, self.least)) else {
            return;
        };
        match result {
            Ok(found) => preview.found = Some(found),
            Err(failure) => {
                if let Some(document) = &mut state.document {
                    document.edits.preview = None;
                }
                failure.report(&self.spec().title, state);
            }
        }
    }
}
