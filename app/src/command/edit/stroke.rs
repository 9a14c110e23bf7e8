//! Brush strokes: each pointer move is applied at once; the whole stroke is one undo step.

use engine::edit::Delta;
use engine::edit::journal::Kind;
use glam::DVec3;

use super::StrokeStart;
use crate::state::edit::Stroke;
use crate::state::{State, ToolKind};
use crate::worker::Jobs;
use crate::worker::edit::{self, LabelChange};

/// Begins a stroke with a dab at its start.
pub fn begin(state: &mut State, jobs: &mut Jobs, start: StrokeStart) {
    // End a stroke whose release was never delivered.
    super::end_drawing(state, jobs);
    if let Some(why) = edit::busy(state, jobs) {
        return edit::refuse(state, why);
    }
    let StrokeStart { tool, erases, pane, at } = start;
    let Some(document) = &state.document else { return };
    let by_values = !erases && matches!(tool, ToolKind::RangeBrush | ToolKind::AdaptiveBrush);
    if let Some(why) = edit::value_layer(document).err().filter(|_| by_values) {
        return edit::refuse(state, why);
    }
    let erases = erases || tool == ToolKind::Eraser;
    let planes = state.session.settings.planes;
    let place = state.slice_words(&document.display(planes), pane);
    let label = state.session.edit.label;
    let name = match tool {
        _ if erases => format!("Eraser stroke, {place}"),
        _ => format!("{} stroke, label {label}, {place}", tool.name()),
    };
    let revision = document.segmentation().map_or(0, |mask| mask.revision);
    let [nx, ny, nz] = document.base().volume.grid.shape;
    let delta = Delta::empty(document.segmentation().map_or([nx, ny, nz, 1], |mask| mask.labels.dims()));
    let plane = document.edit_plane(pane, planes);
    if let Some(document) = &mut state.document {
        document.edits.stroke = Some(Stroke { tool, erases, plane, name, delta, revision, refused: false });
    }
    state.show_edited((!erases).then_some(label));
    extend(state, jobs, [at, at]);
}

/// Paints one segment (world positions in mm) of the stroke in progress.
pub fn extend(state: &mut State, jobs: &mut Jobs, segment: [DVec3; 2]) {
    let Some(document) = &state.document else { return };
    let Some(stroke) = document.edits.stroke.as_ref().filter(|stroke| !stroke.refused) else { return };
    let op = stroke.op(&state.session.edit, state.edit_range(document.image()), &document.base().volume.grid, segment);
    match edit::plan(state, &op) {
        Ok(delta) if delta.is_empty() => {}
        Ok(delta) => apply(state, jobs, &delta),
        Err(why) => {
            if let Some(stroke) = state.document.as_mut().and_then(|document| document.edits.stroke.as_mut()) {
                stroke.refused = true;
            }
            edit::refuse(state, why);
        }
    }
}

fn apply(state: &mut State, jobs: &mut Jobs, delta: &Delta) {
    edit::ensure_segmentation(state, jobs);
    let revision = jobs.unused_id();
    let Some(document) = &mut state.document else { return };
    let before = document.segmentation().map_or(0, |mask| mask.revision);
    if !edit::change(document, delta, revision) {
        return;
    }
    if let Some(stroke) = &mut document.edits.stroke {
        if stroke.delta.is_empty() {
            // The first change of the stroke. The mask may have been created for it.
            stroke.revision = before;
        }
        stroke.delta = stroke.delta.then(delta);
    }
}

/// Ends the stroke in progress.
pub fn end(state: &mut State) {
    let Some(document) = &mut state.document else { return };
    let Some(stroke) = document.edits.stroke.take() else { return };
    let Some(after) = document.segmentation().map(|mask| mask.revision) else { return };
    if !stroke.delta.is_empty() {
        let revisions = [stroke.revision, after];
        edit::record(state, LabelChange { kind: Kind::Edit, name: &stroke.name, delta: &stroke.delta, revisions });
    }
}

/// Cancels the stroke in progress.
pub fn cancel(state: &mut State) {
    let Some(document) = &mut state.document else { return };
    let Some(stroke) = document.edits.stroke.take().filter(|stroke| !stroke.delta.is_empty()) else { return };
    let fits = edit::change(document, &stroke.delta.inverted(), stroke.revision);
    debug_assert!(fits, "nothing else changes labels during a stroke");
}
