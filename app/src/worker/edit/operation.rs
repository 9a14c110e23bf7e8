//! Operations on the whole mask, planned in the background on a snapshot.

use std::sync::Arc;

use engine::edit::{Delta, EditLabels, Op, Scene, plan};
use engine::volume::Volume;

use super::{SLOT, commit, refusal, refuse, value_layer};
use crate::state::{CaseId, ImageLayer, Severity, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

struct Operation {
    case: CaseId,
    /// Of the segmentation that it is planned for.
    revision: u64,
    op: Op,
    labels: EditLabels,
    image: Option<(Arc<Volume>, usize)>,
    locked: Vec<u16>,
}

/// Changes the segmentation by an operation. The result is dropped, with a message, if the segmentation changes meanwhile.
pub fn start(state: &mut State, jobs: &mut Jobs, op: Op) {
    if let Some(why) = refusal(state, jobs) {
        return refuse(state, why);
    }
    let Some(document) = &state.document else { return };
    let Some(mask) = document.segmentation() else { return refuse(state, "This case has no segmentation.") };
    let image = value_layer(document).ok().map(|layer| (Arc::clone(&layer.volume), ImageLayer::held_frame(layer)));
    jobs.start(Operation {
        case: document.id,
        revision: mask.revision,
        op,
        labels: mask.labels.clone(),
        image,
        locked: state.session.edit.locked.clone(),
    });
}

impl Job for Operation {
    type Output = Delta;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, self.op.title()).of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<Delta, Failure> {
        let image = self.image.as_ref();
        let scene = Scene {
            image: image.map(|(volume, _)| &**volume),
            frame: image.map_or(0, |(_, frame)| *frame),
            other: None,
            locked: &self.locked,
        };
        Ok(plan(&self.op, &self.labels, &scene, &handle.control)?)
    }

    fn apply(self, result: Result<Delta, Failure>, state: &mut State, jobs: &mut Jobs) {
        let now = state.document.as_ref().and_then(|document| document.segmentation()).map(|mask| mask.revision);
        match result {
            Ok(delta) if delta.is_empty() => state.notice(Severity::Info, "Nothing to change", self.op.title()),
            Ok(_) if now != Some(self.revision) => {
                refuse(
                    state,
                    format!("{}: the segmentation changed while it was computed. Do it again.", self.op.title()),
                );
            }
            Ok(delta) => commit(state, jobs, &self.op.title(), &delta),
            Err(failure) => failure.report(&self.op.title(), state),
        }
    }
}
