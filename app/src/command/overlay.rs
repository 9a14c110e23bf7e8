//! Commands about the overlay, findings and measurements.

use super::Command;
use crate::scene::{DisplayGrid, PaneMap, PlaneMode};
use crate::state::view::Overlay;
use crate::state::{Document, PaneId, State};

/// Carries one out.
pub fn dispatch(state: &mut State, document: &Document, display: &DisplayGrid, command: Command) {
    let view = &mut state.view;
    match command {
        Command::HideOverlay(hide) => view.hide_overlay = hide,
        Command::SetOpacity(opacity) => state.settings.opacity = opacity.clamp(0.0, 1.0),
        Command::ChangeOpacity(by) => state.settings.opacity = (state.settings.opacity + by).clamp(0.0, 1.0),
        Command::SetLabelStyle { fill, outline } => {
            (state.settings.fill, state.settings.outline) = (fill, outline);
        }
        Command::ShowLabel(label, true) => {
            view.hidden_labels.remove(&label);
        }
        Command::ShowLabel(label, false) => {
            view.hidden_labels.insert(label);
        }
        Command::SetOverlay(overlay) => view.overlay = overlay,
        Command::SwapTruth => {
            view.overlay = match view.overlay {
                Overlay::Prediction => Overlay::Truth,
                Overlay::Truth | Overlay::Comparison => Overlay::Prediction,
            };
        }
        Command::StepFinding(by) => {
            if let Some(next) = state.neighbour_finding(by) {
                go_to_finding(state, document, display, next);
            }
        }
        Command::GoToFinding(at) => go_to_finding(state, document, display, at),
        Command::GoToWorst(rank) => {
            let slice = document.strip().and_then(|s| s.worst_first.get(rank).copied());
            if let Some(slice) = slice {
                go_to_axial(state, document, display, slice);
            }
        }
        Command::AddMeasure(measure) => view.measures.push(*measure),
        Command::RemoveMeasure => {
            view.measures.pop();
        }
        Command::ClearMeasures => view.measures.clear(),
        _ => {}
    }
}

fn go_to_finding(state: &mut State, document: &Document, display: &DisplayGrid, at: usize) {
    let Some(listed) = document.findings.as_ref().and_then(|f| f.list.get(at)) else { return };
    state.view.finding = Some(at);
    state.view.crosshair = display.snapped(document.look_at(listed));
    // All panes show it: one that was moved away from the crosshair comes back.
    for pane in PaneId::REVIEW {
        let camera = &mut state.view.panes[crate::state::View::slot(pane)].camera;
        if camera.zoom > 1.0 {
            let display = document.display_of(pane, state.settings.planes);
            let map = PaneMap::new(&display, pane.plane(), state.settings.convention, *camera, glam::DVec2::ONE);
            let index = display.display_from_world.transform_point3(state.view.crosshair);
            let offset = (map.place_of_index(index) - glam::DVec2::splat(0.5)) / map.scale();
            camera.centre_mm += offset;
        } else {
            camera.centre_mm = glam::DVec2::ZERO;
        }
    }
}

/// Shows an axial slice of the stored grid, counted from the feet.
fn go_to_axial(state: &mut State, document: &Document, display: &DisplayGrid, slice: usize) {
    let native = document.display(PlaneMode::Native);
    let mut index = native.display_from_world.transform_point3(state.view.crosshair);
    index.z = slice as f64;
    state.view.crosshair = display.snapped(native.world_from_display.transform_point3(index));
}
