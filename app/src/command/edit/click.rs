//! Tools that act on a click: fill, region growing, and One click, which finds a lesion in the probability map.

use engine::edit::op::{Plane, Seed};
use engine::edit::{Op, VoxelBox, plane_bounds};
use glam::DVec3;

use crate::scene::{DisplayGrid, PlaneMode};
use crate::state::edit::Preview;
use crate::state::{PaneId, State};
use crate::worker::Jobs;
use crate::worker::edit;

/// Why background outside every outline is not filled.
const OPEN_BACKGROUND: &str =
    "This background reaches opposite edges of the slice. Close an outline first, and click inside it.";

/// Minimum probability for a click.
const MIN_PROBABILITY: f64 = 0.01;

fn seed(at: DVec3) -> Seed {
    Seed { voxel: None, point_mm: Some(at.to_array()) }
}

/// Whether a position is inside the image.
fn is_inside(state: &State, at: DVec3) -> bool {
    let grid = state.document.as_ref().map(|document| document.display(PlaneMode::Native));
    grid.is_some_and(|grid: DisplayGrid| grid.voxel_at(at).is_some())
}

/// Relabels the connected area under a position with the painted label, or erases it.
pub fn fill(state: &mut State, jobs: &mut Jobs, pane: PaneId, erases: bool, at: DVec3) {
    super::end_drawing(state, jobs);
    if !is_inside(state, at) {
        return;
    }
    if let Some(why) = edit::busy(state, jobs) {
        return edit::refuse(state, why);
    }
    let Some(document) = &state.document else { return };
    let planes = state.session.settings.planes;
    let (axis, plane) = (document.edit_axis(pane, planes), document.edit_plane(pane, planes));
    let label = if erases { 0 } else { state.session.edit.label };
    let slice = state.slice_words(&document.display(planes), pane);
    let name = if erases { format!("Erase area, {slice}") } else { format!("Fill, label {label}, {slice}") };
    let op = Op::Fill { label, seed: seed(at), plane };
    if is_open_background(state, &op, at, (axis, plane)) {
        return edit::refuse(state, OPEN_BACKGROUND);
    }
    state.show_edited((!erases).then_some(label));
    edit::apply(state, jobs, &op, &name);
}

/// Whether a fill would relabel background from one edge of the slice to the opposite one. No outline encloses it then.
fn is_open_background(state: &State, fill: &Op, at: DVec3, (axis, plane): (usize, Plane)) -> bool {
    let Some(document) = &state.document else { return false };
    let is_background = document.segmentation().is_none_or(|mask| document.label_at(&mask.labels, at) == 0);
    let area = edit::plan(state, fill).ok().and_then(|delta| delta.bounds());
    let slice = plane_bounds(plane, at.to_array(), &document.base().volume.grid).ok().flatten();
    let spans = |(area, slice): (VoxelBox, VoxelBox)| {
        let (area, slice) = (area.shape(), slice.shape());
        (0..3).any(|a| a != axis && slice[a] > 1 && area[a] == slice[a])
    };
    is_background && area.zip(slice).is_some_and(spans)
}

/// Adds voxels connected to a position with similar values.
pub fn grow(state: &mut State, jobs: &mut Jobs, at: DVec3) {
    super::end_drawing(state, jobs);
    if !is_inside(state, at) {
        return;
    }
    let Some(document) = &state.document else { return };
    let image = match edit::value_layer(document) {
        Ok(image) => image,
        Err(why) => return edit::refuse(state, why),
    };
    let (tolerance, choices) = (state.edit_tolerance(image), &state.session.edit);
    let (label, max_radius_mm) = (choices.label, choices.reach_mm);
    let op = Op::RegionGrow { label, seed: seed(at), tolerance, max_radius_mm, overwrite: false };
    let name = op.title();
    state.show_edited(Some(label));
    edit::start(state, jobs, op, name);
}

/// Previews the component of the probability map at a position.
pub fn preview(state: &mut State, jobs: &mut Jobs, at: DVec3) {
    super::end_drawing(state, jobs);
    drop_preview(state, jobs);
    if !is_inside(state, at) {
        return;
    }
    if let Some(why) = edit::busy(state, jobs) {
        return edit::refuse(state, why);
    }
    let Some(document) = &mut state.document else { return };
    let grid = DisplayGrid::new(&document.base().volume.grid, PlaneMode::Native);
    let Some(probability) = &document.probability else { return };
    let Some(voxel) = grid.voxel_at(at) else { return };
    let value = probability.volume.value_at(voxel, 0);
    if value.is_nan() || value < MIN_PROBABILITY {
        let why = format!("No lesion here: the probability is {value:.3}.");
        return edit::refuse(state, why);
    }
    document.edits.preview = Some(Preview::of_click(at, value));
    edit::find_lesion(state, jobs);
}

/// Moves the threshold of the preview.
pub fn step_preview(state: &mut State, jobs: &mut Jobs, steps: i64) {
    let preview = state.document.as_mut().and_then(|document| document.edits.preview.as_mut());
    if preview.is_some_and(|preview| preview.step(steps)) {
        edit::find_lesion(state, jobs);
    }
}

/// Adds the previewed lesion. Does nothing while it is being computed.
pub fn accept_preview(state: &mut State, jobs: &mut Jobs) {
    if let Some(why) = edit::busy(state, jobs) {
        return edit::refuse(state, why);
    }
    let label = state.session.edit.label;
    let Some(document) = &mut state.document else { return };
    let Some(preview) = document.edits.preview.take_if(|preview| preview.found.is_some()) else { return };
    let name = match preview.least() {
        Some(least) => format!("One click, label {label}, p \u{2265} {least:.2}"),
        None => format!("One click by strokes, label {label}"),
    };
    if let Some((delta, _)) = preview.found {
        state.show_edited(Some(label));
        edit::commit(state, jobs, &name, &delta);
    }
}

/// Discards the preview.
pub fn drop_preview(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(edit::PREVIEW);
    if let Some(document) = &mut state.document {
        document.edits.preview = None;
    }
}
