//! The lasso: a polygon in a slice whose voxels are filled, erased or restored.

use engine::edit::Op;
use engine::edit::op::LassoAction;
use glam::DVec3;

use crate::state::edit::LassoPath;
use crate::state::{PaneId, State};
use crate::worker::Jobs;
use crate::worker::edit;

/// Begins a polygon at a position.
pub fn begin(state: &mut State, jobs: &mut Jobs, pane: PaneId, erases: bool, at: DVec3) {
    super::end_drawing(state, jobs);
    if let Some(why) = edit::busy(state, jobs) {
        return edit::refuse(state, why);
    }
    let action = if erases { LassoAction::Erase } else { state.session.edit.lasso };
    let Some(document) = &mut state.document else { return };
    if action == LassoAction::Restore && document.automatic.is_none() {
        let why = "This case has no automatic segmentation. Press Segment now, or open one.";
        return edit::refuse(state, why);
    }
    document.edits.lasso = Some(LassoPath { pane, action, corners: vec![at] });
}

/// Extends the polygon to a position.
pub fn extend(state: &mut State, to: DVec3) {
    if let Some(lasso) = state.document.as_mut().and_then(|document| document.edits.lasso.as_mut())
        && lasso.corners.last() != Some(&to)
    {
        lasso.corners.push(to);
    }
}

/// Discards the polygon.
pub fn cancel(state: &mut State) {
    if let Some(document) = &mut state.document {
        document.edits.lasso = None;
    }
}

/// Applies the operation of the lasso to the voxels inside the polygon.
pub fn end(state: &mut State, jobs: &mut Jobs) {
    let Some(document) = &mut state.document else { return };
    // A click encloses nothing.
    let Some(lasso) = document.edits.lasso.take().filter(|lasso| lasso.corners.len() > 2) else { return };
    let LassoPath { pane, action, corners } = lasso;
    let planes = state.session.settings.planes;
    let (plane, display) = (document.edit_plane(pane, planes), document.display(planes));
    let choices = &state.session.edit;
    let (label, through) = ((action == LassoAction::Fill).then_some(choices.label), choices.through);
    let points_mm = corners.iter().map(DVec3::to_array).collect();
    let op = Op::Lasso { label, points_mm, plane, action, through };
    let name = if through { op.title() } else { format!("{}, {}", op.title(), state.slice_words(&display, pane)) };
    state.show_edited(label);
    if through {
        edit::start(state, jobs, op, name);
    } else {
        edit::apply(state, jobs, &op, &name);
    }
}
