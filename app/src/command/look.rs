//! Commands about how the open case is looked at: slices, cameras, images, films.

use super::{Command, contrast, overlay};
use crate::scene::{Camera, DisplayGrid, PaneMap, Preset};
use crate::state::{Cine, Document, PaneId, State};
use crate::worker::{Jobs, frame};

/// Commands about how the open case is looked at.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: Command) {
    let Some(document) = state.document.clone() else { return };
    let display = document.display(state.settings.planes);
    match command {
        Command::MoveCrosshair(world) => state.view.crosshair = display.snapped(world),
        Command::StepSlice { pane, by } => step_slice(state, &display, pane, by),
        Command::GoToSlice { pane, slice } => {
            let now = state.slice_of(&display, pane.plane()) as i64;
            step_slice(state, &display, pane, slice as i64 - now);
        }
        Command::Zoom { .. } | Command::Pan { .. } | Command::Fit => cameras(state, &document, &command),
        Command::Maximise(pane) => state.view.maximised = pane,
        Command::ToggleLinked => {
            state.view.linked = !state.view.linked && document.images.len() > 1;
            state.view.maximised = None;
        }
        Command::Activate(pane) => state.view.active = Some(pane),
        Command::ToggleCine => {
            let pane = state.view.active.filter(|p| !p.is_projection()).unwrap_or(PaneId::Axial);
            state.view.cine = if state.view.cine.is_some() { None } else { Some(Cine { pane, due: 0.0 }) };
        }
        Command::SetCineRate(rate) => state.settings.cine_rate = rate.clamp(1.0, 60.0),
        Command::ShowImage(_) | Command::SetFrame(_) | Command::SetModality(_) => images(state, jobs, command),
        Command::Fuse(image) => {
            state.view.fused = image.filter(|&i| i < document.images.len() && i != document.shown);
            if let Some(fused) = state.view.fused.filter(|&i| document.images[i].projection.is_none()) {
                frame::project(state, jobs, fused);
            }
        }
        Command::SetFusedOpacity(opacity) => state.view.fused_opacity = opacity.clamp(0.0, 1.0),
        Command::SetFusedColours(map) => state.view.fused_colour_map = map,
        Command::SetColours(map) => state.view.colour_map = map,
        Command::ChangeWindow { .. } | Command::SetWindow { .. } | Command::UsePreset(_) | Command::AutoContrast => {
            if command == Command::AutoContrast {
                state.masking.contrast = None;
            }
            contrast::dispatch(state, &document, &display, &command);
        }
        other => overlay::dispatch(state, &document, &display, other),
    }
}

fn step_slice(state: &mut State, display: &DisplayGrid, pane: PaneId, by: i64) {
    if pane.is_projection() {
        return;
    }
    let axis = pane.plane().axis();
    let mut index = display.display_from_world.transform_point3(state.view.crosshair);
    let last = display.shape[axis].saturating_sub(1) as f64;
    index[axis] = (index[axis].round() + by as f64).clamp(0.0, last);
    state.view.crosshair = display.snapped(display.world_from_display.transform_point3(index));
}

fn cameras(state: &mut State, document: &Document, command: &Command) {
    let display = |pane| document.display_of(pane, state.settings.planes);
    match *command {
        Command::Zoom { pane, factor, anchor, size } => {
            let camera = state.view.camera(pane);
            let map = PaneMap::new(&display(pane), pane.plane(), state.settings.convention, camera, size);
            let slot = crate::state::View::slot(pane);
            state.view.panes[slot].camera = map.zoomed(camera, factor, anchor);
        }
        Command::Pan { pane, by_mm } => {
            let slot = crate::state::View::slot(pane);
            let limit = display(pane).extent_mm(pane.plane());
            let camera = &mut state.view.panes[slot].camera;
            camera.centre_mm = (camera.centre_mm - by_mm).clamp(-limit, limit);
        }
        _ => {
            state.view.panes.iter_mut().for_each(|pane| pane.camera = Camera::default());
            state.masking.cameras = Default::default();
        }
    }
}

fn images(state: &mut State, jobs: &mut Jobs, command: Command) {
    let Some(document) = &mut state.document else { return };
    match command {
        Command::ShowImage(image) if image < document.images.len() => {
            document.shown = image;
            state.view.fused = state.view.fused.filter(|&f| f != image);
            frame::project_missing(state, jobs);
        }
        Command::SetFrame(number) => {
            let shown = document.shown;
            frame::start(state, jobs, shown, number);
        }
        Command::SetModality(modality) => {
            let shown = document.shown;
            let layer = &mut document.images[shown];
            if let (Preset::Fixed(_, window), Some(_)) = (Preset::of(&modality)[0], layer.range) {
                layer.default_window = window;
            }
            layer.modality = modality;
        }
        _ => {}
    }
}

/// Steps through slices when the film's next one is due; `now` in seconds.
pub fn advance_cine(state: &mut State, now: f64) {
    let Some(cine) = state.view.cine else { return };
    let Some(document) = &state.document else {
        state.view.cine = None;
        return;
    };
    if now < cine.due {
        return;
    }
    let display = document.display(state.settings.planes);
    let axis = cine.pane.plane().axis();
    let slice = state.slice_of(&display, cine.pane.plane());
    let by = if slice + 1 < display.shape[axis] { 1 } else { -(slice as i64) };
    step_slice(state, &display, cine.pane, by);
    let period = 1.0 / f64::from(state.settings.cine_rate);
    // Not caught up on: a film that could not keep up goes on from here.
    state.view.cine = Some(Cine { due: (cine.due + period).max(now), ..cine });
}
