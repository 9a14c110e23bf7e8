//! Commands for the view of the open case: slices, cameras, images, contrast, cine.

use glam::{DVec2, DVec3};

use super::action::ActionList;
use super::contrast;
use crate::scene::{
    Camera, ColourMap, Convention, DisplayGrid, Modality, PaneMap, PlaneMode, Preset, Unit, WindowLevel,
};
use crate::state::{Cine, Document, PaneId, State, ToolKind, View};
use crate::worker::{Jobs, frame, values};

/// A command about the views of the open case.
#[derive(Clone, Debug, PartialEq)]
pub enum ViewCommand {
    /// Selects the left button's tool.
    SetTool(ToolKind),
    /// Moves the crosshair to a world position in mm.
    MoveCrosshair(DVec3),
    /// Steps through the slices of a pane; positive towards head, front, right.
    StepSlice {
        /// The pane that changes.
        pane: PaneId,
        /// How many slices.
        by: i64,
    },
    /// Shows one slice of a pane, 0-based along its display axis.
    GoToSlice {
        /// The pane that changes.
        pane: PaneId,
        /// Index of the slice, from 0.
        slice: usize,
    },
    /// Zooms a pane around a fixed point.
    Zoom {
        /// The pane that changes.
        pane: PaneId,
        /// Above 1 magnifies.
        factor: f64,
        /// The fixed point, in the unit of `size`.
        anchor: DVec2,
        /// The pane's size.
        size: DVec2,
    },
    /// Pans a pane.
    Pan {
        /// The pane that changes.
        pane: PaneId,
        /// Distance to the right and down, in mm of the patient.
        by_mm: DVec2,
    },
    /// Fits all panes.
    Fit,
    /// Shows one pane alone, or all again.
    Maximise(Option<PaneId>),
    /// Shows one axial view per image instead of the four views, or the reverse.
    ToggleLinked,
    /// Makes a pane the target of keys.
    Activate(PaneId),
    /// Starts or stops the cine of the active pane.
    ToggleCine,
    /// Sets the cine rate in slices per second.
    SetCineRate(f32),
    /// Changes window and level by a difference in the image's unit.
    ChangeWindow {
        /// Added to the width.
        width: f64,
        /// Added to the level.
        level: f64,
    },
    /// Sets window and level.
    SetWindow {
        /// Range of values from black to white, in the image's unit.
        width: f64,
        /// Middle of that range, in the image's unit.
        level: f64,
    },
    /// Applies a preset of the shown image's modality, by its place in the list.
    UsePreset(usize),
    /// Sets the contrast from the shown slice.
    AutoContrast,
    /// Sets the modality of the shown image.
    SetModality(Modality),
    /// Sets the unit of the shown image.
    SetUnit(Option<Unit>),
    /// Selects the displayed image.
    ShowImage(usize),
    /// Selects the frame of a 4-D scan.
    SetFrame(usize),
    /// Selects the image fused over the displayed one, or none.
    Fuse(Option<usize>),
    /// Sets the opacity of the fused image, 0 to 1.
    SetFusedOpacity(f32),
    /// Sets the colour map of the fused image.
    SetFusedColours(ColourMap),
    /// Sets window and level of the fused image.
    SetFusedWindow(WindowLevel),
    /// Sets the colour map of the displayed image.
    SetColours(ColourMap),
    /// Switches linear interpolation on or off.
    SetInterpolation(bool),
    /// Sets which side of the patient is on the left of the screen.
    SetConvention(Convention),
    /// Sets the axes along which the panes cut.
    SetPlanes(PlaneMode),
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: ViewCommand) {
    use ViewCommand as Do;
    match command {
        Do::SetTool(tool) => state.session.view.tool = tool,
        Do::MoveCrosshair(world) => {
            if let Some(display) = display(state) {
                state.session.view.crosshair = display.snapped(world);
            }
        }
        Do::StepSlice { pane, by } => step_slice(state, pane, by),
        Do::GoToSlice { pane, slice } => {
            if let Some(display) = display(state) {
                let now = state.slice_of(&display, pane.plane()) as i64;
                step_slice(state, pane, slice as i64 - now);
            }
        }
        Do::Zoom { pane, factor, anchor, size } => zoom(state, pane, factor, anchor, size),
        Do::Pan { pane, by_mm } => pan(state, pane, by_mm),
        Do::Fit => {
            state.session.view.panes.iter_mut().for_each(|pane| pane.camera = Camera::default());
            state.session.masking.cameras = Default::default();
        }
        Do::Maximise(pane) => state.session.view.maximised = pane,
        Do::ToggleLinked => {
            let several = state.document.as_ref().is_some_and(|document| document.images.len() > 1);
            state.session.view.linked = !state.session.view.linked && several;
            state.session.view.maximised = None;
        }
        Do::Activate(pane) => state.session.view.active = Some(pane),
        Do::ToggleCine => {
            let pane = state.session.view.active.filter(|p| !p.is_projection()).unwrap_or(PaneId::Axial);
            let starts = state.session.view.cine.is_none() && state.document.is_some();
            state.session.view.cine = starts.then_some(Cine { pane, due: 0.0 });
        }
        Do::SetCineRate(rate) => state.session.settings.cine_rate = rate.clamp(1.0, 60.0),
        Do::ChangeWindow { width, level } => contrast::change(state, width, level),
        Do::SetWindow { width, level } => contrast::set(state, width, level),
        Do::UsePreset(at) => contrast::use_preset(state, jobs, at),
        Do::AutoContrast => contrast::automatic(state),
        Do::SetModality(modality) => set_modality(state, jobs, modality),
        Do::SetUnit(unit) => set_unit(state, jobs, unit),
        Do::ShowImage(image) => show_image(state, jobs, image),
        Do::SetFrame(number) => {
            if let Some(shown) = state.document.as_ref().map(|document| document.shown) {
                frame::start(state, jobs, shown, number);
            }
        }
        Do::Fuse(image) => fuse(state, jobs, image),
        Do::SetFusedOpacity(opacity) => state.session.view.fused_opacity = opacity.clamp(0.0, 1.0),
        Do::SetFusedColours(map) => state.session.view.fused_colour_map = map,
        Do::SetFusedWindow(window) => {
            if let Some(fused) = state.session.view.fused {
                state.set_window(fused, window);
            }
        }
        Do::SetColours(map) => state.session.view.colour_map = map,
        Do::SetInterpolation(on) => state.session.settings.interpolate = on,
        Do::SetConvention(convention) => state.session.settings.convention = convention,
        Do::SetPlanes(planes) => state.session.settings.planes = planes,
    }
}

/// The grid that the panes display.
fn display(state: &State) -> Option<DisplayGrid> {
    state.document.as_ref().map(|document| document.display(state.session.settings.planes))
}

fn step_slice(state: &mut State, pane: PaneId, by: i64) {
    let Some(display) = display(state).filter(|_| !pane.is_projection()) else { return };
    let axis = pane.plane().axis();
    let mut index = display.display_from_world.transform_point3(state.session.view.crosshair);
    let last = display.shape[axis].saturating_sub(1) as f64;
    index[axis] = (index[axis].round() + by as f64).clamp(0.0, last);
    state.session.view.crosshair = display.snapped(display.world_from_display.transform_point3(index));
}

fn zoom(state: &mut State, pane: PaneId, factor: f64, anchor: DVec2, size: DVec2) {
    let Some(document) = &state.document else { return };
    let display = document.display_of(pane, state.session.settings.planes);
    let camera = state.session.view.camera(pane);
    let map = PaneMap::new(&display, pane.plane(), state.session.settings.convention, camera, size);
    state.session.view.panes[View::slot(pane)].camera = map.zoomed(camera, factor, anchor);
}

fn pan(state: &mut State, pane: PaneId, by_mm: DVec2) {
    let Some(document) = &state.document else { return };
    let limit = document.display_of(pane, state.session.settings.planes).extent_mm(pane.plane());
    let camera = &mut state.session.view.panes[View::slot(pane)].camera;
    camera.centre_mm = (camera.centre_mm - by_mm).clamp(-limit, limit);
}

fn show_image(state: &mut State, jobs: &mut Jobs, image: usize) {
    let Some(document) = state.document.as_mut().filter(|document| image < document.images.len()) else { return };
    document.shown = image;
    state.session.view.modality = Some(document.image().info.modality.clone());
    if state.session.view.fused == Some(image) {
        (state.session.view.fused, state.session.view.fused_modality) = (None, None);
    }
    frame::project_missing(state, jobs);
    values::start(state, jobs);
}

/// PET is drawn in colour over the anatomy: a CT or MR fused with a shown PET becomes the base.
fn fuse(state: &mut State, jobs: &mut Jobs, image: Option<usize>) {
    let Some(document) = &state.document else { return };
    let mut image = image.filter(|&image| image < document.images.len() && image != document.shown);
    let is_pet = |index: usize| document.images[index].info.modality == Modality::Pet;
    if let Some(below) = image.filter(|&image| is_pet(document.shown) && !is_pet(image)) {
        image = Some(document.shown);
        show_image(state, jobs, below);
    }
    let Some(document) = &state.document else { return };
    state.session.view.fused = image;
    state.session.view.fused_modality = image.map(|image| document.images[image].info.modality.clone());
    if let Some(fused) = state.session.view.fused.filter(|&image| document.images[image].projection.is_none()) {
        frame::project(state, jobs, fused);
    }
}

fn set_modality(state: &mut State, jobs: &mut Jobs, modality: Modality) {
    let Some(document) = &mut state.document else { return };
    document.images[document.shown].info.set_modality(modality);
    settle_window(state, jobs);
    values::start(state, jobs);
}

fn set_unit(state: &mut State, jobs: &mut Jobs, unit: Option<Unit>) {
    let Some(document) = &mut state.document else { return };
    document.images[document.shown].info.set_unit(unit);
    settle_window(state, jobs);
    values::start(state, jobs);
}

/// Applies the default window of a new modality or unit: a fixed one, or percentiles of the scan.
fn settle_window(state: &mut State, jobs: &mut Jobs) {
    let Some(document) = &mut state.document else { return };
    let layer = &mut document.images[document.shown];
    match Preset::of(&layer.info)[0] {
        Preset::Fixed(..) if layer.range.is_some() => {
            // Fixed windows do not depend on the percentiles.
            layer.default_window = Preset::default_window(&layer.info, Some(&[0.0; 4]));
        }
        Preset::Fixed(..) => {}
        // A window that was chosen for such scans stays.
        Preset::Percentiles(..) if state.session.windows.contains_key(&layer.info.window_key()) => {}
        Preset::Percentiles(_, percentiles) => crate::worker::contrast::start(state, jobs, percentiles),
    }
}

/// Steps through slices when the cine's next one is due; `now` in seconds.
pub fn advance_cine(state: &mut State, now: f64) -> bool {
    let Some(cine) = state.session.view.cine else { return false };
    let Some(display) = display(state) else {
        state.session.view.cine = None;
        return false;
    };
    if now < cine.due {
        return false;
    }
    let axis = cine.pane.plane().axis();
    let slice = state.slice_of(&display, cine.pane.plane());
    let by = if slice + 1 < display.shape[axis] { 1 } else { -(slice as i64) };
    step_slice(state, cine.pane, by);
    let period = 1.0 / f64::from(state.session.settings.cine_rate);
    // A cine that cannot keep up continues from here instead of catching up.
    state.session.view.cine = Some(Cine { due: (cine.due + period).max(now), ..cine });
    true
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "View";
    let open = state.document.is_some();
    for tool in ToolKind::ALL {
        list.add(group, format!("Tool: {}", tool.name()), tool.key(), ViewCommand::SetTool(tool));
    }
    let pane = state.active_pane();
    list.add_if(open, group, "Next slice", "Up", ViewCommand::StepSlice { pane, by: 1 });
    list.add_if(open, group, "Previous slice", "Down", ViewCommand::StepSlice { pane, by: -1 });
    list.add_if(open, group, "Ten slices forward", "PgUp", ViewCommand::StepSlice { pane, by: 10 });
    list.add_if(open, group, "Ten slices back", "PgDn", ViewCommand::StepSlice { pane, by: -10 });
    list.add_if(open, group, "Fit all views", "F", ViewCommand::Fit);
    let maximise = state.session.view.maximised.is_none().then_some(pane);
    list.add_if(open, group, "Maximise or restore the active view", "Shift+Enter", ViewCommand::Maximise(maximise));
    for pane in PaneId::REVIEW {
        list.add_if(open, group, format!("Only {}", pane.name()), "", ViewCommand::Maximise(Some(pane)));
    }
    let several = state.document.as_ref().is_some_and(|d| d.images.len() > 1);
    list.add_if(several, group, "Images side by side", "M", ViewCommand::ToggleLinked);
    list.add_if(open, group, "Play or stop cine", "Shift+C", ViewCommand::ToggleCine);
    for (convention, name) in [(Convention::Radiological, "Radiological"), (Convention::Neurological, "Neurological")] {
        list.add(group, format!("Convention: {name}"), "", ViewCommand::SetConvention(convention));
    }
    for (planes, name) in [(PlaneMode::Native, "as acquired"), (PlaneMode::World, "along the patient")] {
        list.add(group, format!("Planes: {name}"), "", ViewCommand::SetPlanes(planes));
    }
    let smooth = state.session.settings.interpolate;
    list.add(group, "Interpolation on or off", "I", ViewCommand::SetInterpolation(!smooth));
    if let Some(document) = state.document.as_ref().filter(|d| d.images.len() > 1) {
        images(list, state, document);
    }
    list.add_if(open, "Contrast", "Automatic contrast", "Ctrl+J", ViewCommand::AutoContrast);
    if let Some(document) = &state.document {
        for (at, preset) in Preset::of(&document.image().info).iter().enumerate() {
            list.add("Contrast", format!("Window: {}", preset.name()), "", ViewCommand::UsePreset(at));
        }
    }
    if let Some(image) = state.document.as_ref().map(Document::image).filter(|i| i.info.modality == Modality::Pet) {
        for unit in Unit::PET.into_iter().filter(|unit| image.info.unit.as_ref() != Some(unit)) {
            list.add("Contrast", format!("Values are {}", unit.symbol()), "", ViewCommand::SetUnit(Some(unit)));
        }
    }
    for map in ColourMap::ALL {
        list.add_if(open, "Contrast", format!("Colours: {}", map.name()), "", ViewCommand::SetColours(map));
    }
}

/// Adds entries that select the displayed and the fused image.
fn images(list: &mut ActionList, state: &State, document: &Document) {
    let group = "View";
    for (index, image) in document.images.iter().enumerate().filter(|(index, _)| *index != document.shown) {
        list.add(group, format!("Show {}", image.name), "", ViewCommand::ShowImage(index));
        let fused = state.session.view.fused == Some(index);
        list.add_if(!fused, group, format!("Fuse {}", image.name), "", ViewCommand::Fuse(Some(index)));
    }
    list.add_if(state.session.view.fused.is_some(), group, "Remove the fused image", "", ViewCommand::Fuse(None));
}
