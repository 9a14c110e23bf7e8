//! Commands about window and level.

use super::Command;
use crate::scene::{DisplayGrid, PlaneMode, Preset, WindowLevel};
use crate::state::{Document, PaneId, State};

/// Changes the window of the shown image's modality.
pub fn dispatch(state: &mut State, document: &Document, display: &DisplayGrid, command: &Command) {
    let image = document.image();
    let current = state.window_of(image);
    let window = match *command {
        Command::ChangeWindow { width, level } => {
            WindowLevel { width: current.width + width, level: current.level + level }
        }
        Command::SetWindow { width, level } => WindowLevel { width, level },
        Command::UsePreset(at) => match Preset::of(&image.modality).get(at) {
            Some(Preset::Fixed(_, window)) => *window,
            Some(Preset::Percentiles(_, q)) => match image.volume.percentiles(image.held_frame(), q) {
                Some(values) => WindowLevel::of_range(values[0], values[1]),
                None => return,
            },
            None => return,
        },
        _ => match slice_contrast(state, document, display) {
            Some(window) => window,
            None => return,
        },
    };
    // Narrower than a ten-thousandth of the scan's range nothing can be told apart.
    let range = image.range.map_or(255.0, |[low, high]| (high - low).max(f64::MIN_POSITIVE));
    let width = window.width.max(range * 1e-4);
    if width.is_finite() && window.level.is_finite() {
        state.windows.insert(image.modality.key(), WindowLevel { width, level: window.level });
    }
}

/// Contrast from the 1st to the 99th percentile of the shown slice of the active pane, on the stored grid.
fn slice_contrast(state: &State, document: &Document, display: &DisplayGrid) -> Option<WindowLevel> {
    let image = document.image();
    if image.volume.data.is_colour() {
        return None;
    }
    let native = DisplayGrid::new(&image.volume.grid, PlaneMode::Native);
    let plane = state.view.active.unwrap_or(PaneId::Axial).plane();
    let position = display.snapped(state.view.crosshair);
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
