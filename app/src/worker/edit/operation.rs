//! Operations on the whole mask, planned in the background on a snapshot.

use std::sync::Arc;

use engine::edit::op::Seed;
use engine::edit::{Delta, EditLabels, Op, Scene, plan};
use engine::volume::Volume;

use super::{SLOT, busy, commit, failure, refuse, unchanged, value_layer};
use crate::state::{CaseId, ImageLayer, Severity, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

struct Operation {
    case: CaseId,
    /// Revision of the segmentation that the operation is planned for.
    revision: Option<u64>,
    op: Op,
    name: String,
    labels: EditLabels,
    image: Option<(Arc<Volume>, usize)>,
    other: Option<EditLabels>,
    locked: Vec<u16>,
    /// The label to remove with its name and colour, and the label to paint with instead.
    removes: Option<[u16; 2]>,
}

/// Relabels all voxels of a label; 0 deletes them. Its name and colour are removed too, and restored by undo.
pub fn start_removing(state: &mut State, jobs: &mut Jobs, [label, to]: [u16; 2], name: String) {
    let op = Op::Relabel { from: label, to, seed: Seed::default() };
    begin(state, jobs, op, name, Some([label, to]));
}

/// Changes the segmentation by an operation. The result is dropped, with a message, if the segmentation changes
/// meanwhile.
pub fn start(state: &mut State, jobs: &mut Jobs, op: Op, name: String) {
    begin(state, jobs, op, name, None);
}

fn begin(state: &mut State, jobs: &mut Jobs, op: Op, name: String, removes: Option<[u16; 2]>) {
    if let Some(why) = busy(state, jobs) {
        return refuse(state, why);
    }
    let Some(document) = &state.document else { return };
    let adds = matches!(op, Op::RegionGrow { .. } | Op::Lasso { .. });
    if document.segmentation().is_none() && !adds {
        return refuse(state, "This case has no segmentation.");
    }
    let mask = document.segmentation();
    let empty = || EditLabels::new(document.base().volume.grid.clone());
    let image = value_layer(document).ok().map(|layer| (Arc::clone(&layer.volume), ImageLayer::held_frame(layer)));
    jobs.start(Operation {
        case: document.id,
        revision: mask.map(|mask| mask.revision),
        op,
        name,
        labels: mask.map_or_else(empty, |mask| mask.labels.clone()),
        image,
        other: document.automatic.clone(),
        locked: state.session.edit.locked.clone(),
        removes,
    });
}

impl Job for Operation {
    type Output = Delta;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, self.name.clone()).of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<Delta, Failure> {
        let image = self.image.as_ref();
        let scene = Scene {
            image: image.map(|(volume, _)| &**volume),
            frame: image.map_or(0, |(_, frame)| *frame),
            other: self.other.as_ref(),
            locked: &self.locked,
        };
        plan(&self.op, &self.labels, &scene, &handle.control).map_err(|error| failure(&error))
    }

    fn apply(self, result: Result<Delta, Failure>, state: &mut State, jobs: &mut Jobs) {
        let now = state.document.as_ref().and_then(|document| document.segmentation()).map(|mask| mask.revision);
        match result {
            Ok(delta) if delta.is_empty() => {
                state.notice(Severity::Info, "Nothing to change", unchanged(&self.op, &self.name));
            }
            Ok(_) if now != self.revision => {
                refuse(state, format!("{}: the segmentation changed in the meantime. Try again.", self.name));
            }
            Ok(delta) => {
                commit(state, jobs, &self.name, &delta);
                if let Some([label, to]) = self.removes
                    && let Some(document) = &mut state.document
                {
                    let styles = document.remove_styles(label);
                    document.edits.list.set_styles(true, styles);
                    state.paint_instead(label, to);
                }
            }
            Err(failure) => failure.report(&self.name, state),
        }
    }
}
