//! Commands about the overlay and the findings.

use super::action::ActionList;
use crate::scene::PaneMap;
use crate::state::view::Overlay;
use crate::state::{Document, PaneId, State, View};

/// A command about the overlay or the findings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OverlayCommand {
    /// Hides the overlay while true.
    Hide(bool),
    /// Sets the opacity, 0 to 1.
    SetOpacity(f32),
    /// Adds to the opacity, within 0 to 1.
    ChangeOpacity(f32),
    /// Fill and outline of labels.
    SetStyle {
        /// Whether labels are filled.
        fill: bool,
        /// Whether labels are outlined.
        outline: bool,
    },
    /// Shows or hides one label.
    ShowLabel(u16, bool),
    /// Chooses what is drawn of segmentation and reference.
    Show(Overlay),
    /// Swaps segmentation and reference. The comparison gives way to the segmentation.
    SwapReference,
    /// Goes to the next (1) or previous (-1) finding.
    StepFinding(i64),
    /// Goes to a finding, by its place in the list.
    GoToFinding(usize),
    /// Shows or hides findings below the minimum volume.
    ShowSmallFindings(bool),
    /// Sets the minimum volume, in ml.
    SetMinimumVolume(f64),
    /// Goes to the worst slice (0), the second worst (1) and so on.
    GoToWorst(usize),
}

/// The largest minimum volume, in ml: half a litre hides nearly everything.
pub const MAXIMUM_ML: f64 = 500.0;

/// Executes a command.
pub fn dispatch(state: &mut State, command: OverlayCommand) {
    use OverlayCommand as Do;
    let view = &mut state.session.view;
    match command {
        Do::Hide(hide) => view.hide_overlay = hide,
        Do::SetOpacity(opacity) => state.session.settings.opacity = opacity.clamp(0.0, 1.0),
        Do::ChangeOpacity(by) => state.session.settings.opacity = (state.session.settings.opacity + by).clamp(0.0, 1.0),
        Do::SetStyle { fill, outline } => {
            (state.session.settings.fill, state.session.settings.outline) = (fill, outline);
        }
        Do::ShowLabel(label, true) => drop(view.hidden_labels.remove(&label)),
        Do::ShowLabel(label, false) => drop(view.hidden_labels.insert(label)),
        Do::Show(overlay) => view.overlay = overlay,
        Do::SwapReference => {
            view.overlay = match view.overlay {
                Overlay::Segmentation => Overlay::Reference,
                Overlay::Reference | Overlay::Comparison => Overlay::Segmentation,
            };
        }
        Do::StepFinding(by) => {
            if let Some(next) = state.neighbour_finding(by) {
                go_to_finding(state, next);
            }
        }
        Do::GoToFinding(at) => go_to_finding(state, at),
        Do::ShowSmallFindings(show) => {
            view.small_findings = show;
            state.deselect_collapsed_finding();
        }
        Do::SetMinimumVolume(ml) => {
            if ml.is_finite() {
                state.session.settings.minimum_ml = ml.clamp(0.0, MAXIMUM_ML);
            }
            state.deselect_collapsed_finding();
        }
        Do::GoToWorst(rank) => {
            let strip = state.document.as_ref().and_then(Document::strip);
            if let Some(slice) = strip.and_then(|strip| strip.worst_first.get(rank).copied()) {
                state.look_at_axial(slice);
                show_crosshair(state);
            }
        }
    }
}

fn go_to_finding(state: &mut State, at: usize) {
    let Some(document) = &state.document else { return };
    let Some(entry) = document.findings.as_ref().and_then(|f| f.entries.get(at)) else { return };
    let planes = state.session.settings.planes;
    state.session.view.finding = Some(at);
    state.session.view.crosshair = document.display(planes).snapped(document.finding_position(entry));
    show_crosshair(state);
}

/// Moves panes that were panned or zoomed away back to the crosshair.
fn show_crosshair(state: &mut State) {
    let Some(document) = &state.document else { return };
    let planes = state.session.settings.planes;
    for pane in PaneId::REVIEW {
        let camera = &mut state.session.view.panes[View::slot(pane)].camera;
        if camera.zoom > 1.0 {
            let display = document.display_of(pane, planes);
            let map =
                PaneMap::new(&display, pane.plane(), state.session.settings.convention, *camera, glam::DVec2::ONE);
            let index = display.display_from_world.transform_point3(state.session.view.crosshair);
            let offset = (map.place_of_index(index) - glam::DVec2::splat(0.5)) / map.scale();
            camera.centre_mm += offset;
        } else {
            camera.centre_mm = glam::DVec2::ZERO;
        }
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Findings";
    let document = state.document.as_ref();
    let open = document.is_some();
    let findings = state.shown_findings() > 0;
    let both = document.is_some_and(Document::has_both_masks);
    let strip = document.is_some_and(|d| d.comparison.is_some() || d.entropy.is_some());
    list.add_if(findings, group, "Next finding", "N", OverlayCommand::StepFinding(1));
    list.add_if(findings, group, "Previous finding", "P", OverlayCommand::StepFinding(-1));
    let all = !state.session.view.small_findings;
    let small = if all { "Show small findings" } else { "Hide small findings" };
    list.add_if(findings, group, small, "", OverlayCommand::ShowSmallFindings(all));
    list.add_if(strip, group, "Worst slice", "W", OverlayCommand::GoToWorst(0));
    list.add_if(open, group, "Overlay more opaque", "D", OverlayCommand::ChangeOpacity(0.1));
    list.add_if(open, group, "Overlay more transparent", "A", OverlayCommand::ChangeOpacity(-0.1));
    let (fill, outline) = (state.session.settings.fill, state.session.settings.outline);
    list.add_if(open, group, "Fill on or off", "", OverlayCommand::SetStyle { fill: !fill, outline });
    list.add_if(open, group, "Outline on or off", "", OverlayCommand::SetStyle { fill, outline: !outline });
    list.add_if(open, group, "Hide the overlay (hold)", "S", OverlayCommand::Hide(!state.session.view.hide_overlay));
    list.add_if(both, group, "Swap segmentation and reference", "T", OverlayCommand::SwapReference);
    for overlay in Overlay::ALL {
        list.add_if(both, group, format!("Overlay: {}", overlay.name()), "", OverlayCommand::Show(overlay));
    }
}
