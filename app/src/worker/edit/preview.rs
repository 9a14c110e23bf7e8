//! Preview of a lesion found from a click or strokes.

use std::sync::Arc;

use engine::edit::{Delta, EditLabels, Op, Scene, plan};
use engine::volume::Volume;

use super::{failure, refuse, value_layer};
use crate::state::edit::Search;
use crate::state::{CaseId, ImageLayer, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One search at a time.
pub const PREVIEW: Slot = Slot::exclusive("one click");

struct FindLesion {
    case: CaseId,
    search: Search,
    op: Op,
    labels: EditLabels,
    /// The probability map, or the displayed image.
    image: Arc<Volume>,
    frame: usize,
    locked: Vec<u16>,
}

/// Computes the preview in the open case. There is none while all strokes are on the same side.
pub fn find_lesion(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(PREVIEW);
    let Some(document) = &state.document else { return };
    let Some(preview) = &document.edits.preview else { return };
    let Some(op) = preview.op(state.session.edit.label, &document.base().volume.grid) else { return };
    let (image, frame) = match (&preview.search, &document.probability) {
        (Search::Click { .. }, Some(probability)) => (&probability.volume, 0),
        (Search::Click { .. }, None) => return,
        (Search::Strokes(_), _) => match value_layer(document) {
            Ok(layer) => (&layer.volume, ImageLayer::held_frame(layer)),
            Err(why) => return refuse(state, why),
        },
    };
    let empty = || EditLabels::new(document.base().volume.grid.clone());
    jobs.start(FindLesion {
        case: document.id,
        search: preview.search.clone(),
        op,
        labels: document.segmentation().map_or_else(empty, |mask| mask.labels.clone()),
        image: Arc::clone(image),
        frame,
        locked: state.session.edit.locked.clone(),
    });
}

impl Job for FindLesion {
    type Output = (Delta, EditLabels);

    fn spec(&self) -> Spec {
        let title = match self.search {
            Search::Click { .. } => "Looking for the lesion under the click",
            Search::Strokes(_) => "Looking for the lesion between the strokes",
        };
        Spec::new(PREVIEW, title).of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let scene = Scene { image: Some(&self.image), frame: self.frame, locked: &self.locked, ..Scene::default() };
        let delta = plan(&self.op, &self.labels, &scene, &handle.control).map_err(|error| failure(&error))?;
        // Only background changes, so applying the changes to an empty mask gives just the lesion.
        let mut alone = EditLabels::new(self.labels.grid().clone()).repeated(self.labels.frames());
        alone.show(self.labels.frame());
        let fits = delta.apply(&mut alone);
        debug_assert!(fits, "all of it was background");
        Ok((delta, alone))
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        let preview = state.document.as_mut().and_then(|document| document.edits.preview.as_mut());
        let Some(preview) = preview.filter(|preview| preview.search == self.search) else { return };
        match result {
            Ok(found) => preview.found = Some(found),
            Err(Failure::Cancelled) => {}
            Err(failure) => {
                // Keep the strokes: more of them may help.
                if matches!(self.search, Search::Click { .. })
                    && let Some(document) = &mut state.document
                {
                    document.edits.preview = None;
                }
                failure.report(&self.spec().title, state);
            }
        }
    }
}
