//! Window and level of the shown image.

use crate::scene::{DisplayGrid, PlaneMode, Preset, WindowLevel};
use crate::state::{Document, ImageLayer, PaneId, State};
use crate::worker::{Jobs, contrast};

fn image(state: &State) -> Option<&ImageLayer> {
    state.document.as_ref().map(Document::image)
}

/// Changes width and level by differences in the image's unit.
pub fn change(state: &mut State, width: f64, level: f64) {
    let Some(current) = image(state).map(|image| state.window_of(image)) else { return };
    set(state, current.width + width, current.level + level);
}

/// Sets width and level.
pub fn set(state: &mut State, width: f64, level: f64) {
    if let Some(shown) = state.document.as_ref().map(|document| document.shown) {
        state.set_window(shown, WindowLevel { width, level });
    }
}

/// Uses a preset of the image's modality. Percentiles of the whole scan are a job.
pub fn use_preset(state: &mut State, jobs: &mut Jobs, at: usize) {
    let preset = image(state).and_then(|image| Preset::of(&image.info).get(at).copied());
    match preset {
        Some(Preset::Fixed(_, window)) => set(state, window.width, window.level),
        Some(Preset::Percentiles(_, percentiles)) => contrast::start(state, jobs, percentiles),
        None => {}
    }
}

/// Sets the contrast from the shown slice of the active pane; in Masking mode also that of the preprocessed slice.
pub fn automatic(state: &mut State) {
    state.session.masking.contrast = None;
    if let Some(window) = slice_contrast(state) {
        set(state, window.width, window.level);
    }
}

/// From the 1st to the 99th percentile of the shown slice of the active pane, on the stored grid.
fn slice_contrast(state: &State) -> Option<WindowLevel> {
    let document = state.document.as_ref()?;
    let image = document.image();
    if image.volume.data.is_colour() {
        return None;
    }
    let native = DisplayGrid::new(&image.volume.grid, PlaneMode::Native);
    let plane = state.session.view.active.unwrap_or(PaneId::Axial).plane();
    let position = document.display(state.session.settings.planes).snapped(state.session.view.crosshair);
    let axis = plane.axis();
    let slice = native.index_at(position)[axis];
    let [x, y] = plane.screen_axes();
    let source = native.orientation.source_shape(native.shape);
    let mut values = Vec::with_capacity(native.shape[x] * native.shape[y]);
    for j in 0..native.shape[y] {
        for i in 0..native.shape[x] {
            let mut index = [0; 3];
            (index[x], index[y], index[axis]) = (i, j, slice);
            let voxel = native.orientation.source_voxel(index, source);
            values.push(image.volume.value_at(voxel, image.held_frame()) as f32);
        }
    }
    let low = engine::volume::percentile(&mut values, 1.0)?;
    let high = engine::volume::percentile(&mut values, 99.0)?;
    Some(WindowLevel::of_range(low, high))
}
