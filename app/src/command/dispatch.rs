//! The one place where commands change the state.

use engine::findings::axial_axis;
use glam::DVec3;

use super::{Command, unsaved};
use crate::state::view::Overlay;
use crate::state::{Cine, Dialog, Document, PaneId, PathPurpose, Preset, Severity, State, WindowLevel};
use crate::view::{Camera, DisplayGrid, PaneMap, PlaneMode};
use crate::worker::{Jobs, Kind, dialog, frame, open, save, segment};

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: Command) {
    if unsaved::held_back(state, &command) {
        return;
    }
    match command {
        Command::SetMode(mode) => state.mode = mode,
        Command::SetTool(tool) => state.view.tool = tool,
        Command::SetTheme(theme) => state.settings.theme = theme,
        Command::ToggleLeft => state.settings.left_panel = !state.settings.left_panel,
        Command::ToggleRight => state.settings.right_panel = !state.settings.right_panel,
        Command::ToggleStrip => state.settings.strip = !state.settings.strip,
        Command::SetInterpolation(on) => state.settings.interpolate = on,
        Command::SetConvention(convention) => state.settings.convention = convention,
        Command::SetPlanes(planes) => state.settings.planes = planes,
        Command::SetDevice(device) => state.segment.device = device,
        Command::UseSampleModel => state.segment.model = None,
        Command::FilterCases(text) => state.cases.filter = text,
        Command::CancelJob(id) => jobs.cancel(id),
        Command::Dismiss(_) | Command::DismissAll => dismiss(state, &command),
        Command::Quit => quit(state, jobs),
        Command::QuitNow => {
            jobs.cancel_all();
            state.quit = true;
        }
        Command::OpenPalette
        | Command::EditPalette(..)
        | Command::EditPath(_)
        | Command::OpenHelp
        | Command::OpenLog
        | Command::OpenAbout
        | Command::TypePath(_)
        | Command::CloseDialog => dialogs(state, command),
        Command::Ask(_)
        | Command::UsePaths(..)
        | Command::OpenRequest(_)
        | Command::OpenSample
        | Command::OpenCase(_)
        | Command::StepCase(_)
        | Command::Retry
        | Command::CloseCase
        | Command::Segment
        | Command::Save
        | Command::SaveThen(_)
        | Command::Discard
        | Command::RemoveProbability
        | Command::SaveOver(_)
        | Command::RemoveMask { .. } => files(state, jobs, command),
        other => looking(state, jobs, other),
    }
}

fn dismiss(state: &mut State, command: &Command) {
    for notice in &mut state.notices {
        let this = matches!(command, Command::Dismiss(id) if *id == notice.id);
        notice.dismissed |= this || *command == Command::DismissAll;
    }
}

fn quit(state: &mut State, jobs: &mut Jobs) {
    let unsaved = state.document.as_ref().is_some_and(|d| d.unsaved);
    if unsaved || jobs.runs(Kind::Segment) || jobs.runs(Kind::Save) {
        state.dialog = Some(Dialog::Close);
    } else {
        jobs.cancel_all();
        state.quit = true;
    }
}

fn dialogs(state: &mut State, command: Command) {
    match (command, &mut state.dialog) {
        (Command::OpenPalette, dialog) => *dialog = Some(Dialog::Palette { query: String::new(), chosen: 0 }),
        (Command::EditPalette(text, line), Some(Dialog::Palette { query, chosen })) => {
            (*query, *chosen) = (text, line);
        }
        (Command::TypePath(purpose), dialog) => *dialog = Some(Dialog::Path { purpose, text: String::new() }),
        (Command::EditPath(typed), Some(Dialog::Path { text, .. })) => *text = typed,
        (Command::OpenHelp, dialog) => *dialog = Some(Dialog::Help),
        (Command::OpenLog, dialog) => *dialog = Some(Dialog::Log),
        (Command::OpenAbout, dialog) => *dialog = Some(Dialog::About),
        (Command::CloseDialog, dialog) => {
            *dialog = None;
            state.after_saving = None;
        }
        _ => {}
    }
}

/// Commands about files, cases and jobs.
fn files(state: &mut State, jobs: &mut Jobs, command: Command) {
    match command {
        Command::Ask(purpose) => {
            state.dialog = None;
            dialog::ask(state, jobs, purpose);
        }
        Command::UsePaths(purpose, paths) => {
            state.dialog = None;
            if matches!(purpose, PathPurpose::Files | PathPurpose::Folder) {
                use_paths(state, jobs, &paths);
            } else {
                dialog::go_on(state, jobs, purpose, &paths);
            }
        }
        Command::OpenRequest(request) => {
            leave_cases(state);
            open::open_request(state, jobs, *request);
        }
        Command::OpenSample => match crate::sample::folder() {
            Some(folder) => open::open_paths(state, jobs, &[folder]),
            None => state.error("No sample study", "assets/sample was not found beside the program nor here"),
        },
        Command::OpenCase(index) => open::open_case(state, jobs, index),
        Command::StepCase(by) => step_case(state, jobs, by),
        Command::Retry => retry(state, jobs),
        Command::CloseCase => {
            for kind in [Kind::Open, Kind::Layer, Kind::Analyse, Kind::Project, Kind::Frame, Kind::Segment] {
                jobs.cancel_kind(kind);
            }
            (state.document, state.failed) = (None, None);
            leave_cases(state);
        }
        Command::Segment => segment::start(state, jobs),
        Command::Save => dialog::ask(state, jobs, PathPurpose::SaveMask),
        Command::SaveThen(next) => unsaved::save_then(state, jobs, next),
        Command::Discard => unsaved::discard(state, jobs),
        Command::RemoveProbability => {
            if let Some(document) = &mut state.document {
                document.probability = None;
                document.entropy = None;
            }
        }
        Command::SaveOver(path) => {
            state.dialog = None;
            save::to(state, jobs, &path, true);
        }
        Command::RemoveMask { truth } => {
            if let Some(document) = &mut state.document {
                *(if truth { &mut document.truth } else { &mut document.prediction }) = None;
                document.unsaved &= truth;
                document.forget_results();
                if !truth {
                    document.probability = None;
                }
                state.view.finding = None;
            }
            crate::worker::analyse::start(state, jobs);
        }
        _ => {}
    }
}

/// Paths that were opened, typed or dropped: masks alone go onto the open image.
fn use_paths(state: &mut State, jobs: &mut Jobs, paths: &[std::path::PathBuf]) {
    use crate::worker::layer::{self, Role};
    let masks_only = !paths.is_empty() && paths.iter().all(|p| p.is_file() && open::is_mask_name(p));
    if state.document.is_some() && masks_only {
        for path in paths {
            let predicted = open::file_stem(path).to_lowercase().contains("pred");
            let role = if predicted { Role::Prediction } else { Role::Truth };
            layer::start(state, jobs, role, path);
        }
        return;
    }
    leave_cases(state);
    open::open_paths(state, jobs, paths);
}

fn leave_cases(state: &mut State) {
    state.cases = crate::state::CaseList::default();
}

fn step_case(state: &mut State, jobs: &mut Jobs, by: i64) {
    let matching = state.cases.matching();
    let place = state.cases.open.and_then(|open| matching.iter().position(|&i| i == open));
    let next = match place {
        Some(place) => place as i64 + by,
        None => 0,
    };
    if let Some(&index) = usize::try_from(next).ok().and_then(|n| matching.get(n)) {
        open::open_case(state, jobs, index);
    }
}

fn retry(state: &mut State, jobs: &mut Jobs) {
    match (state.cases.open, state.failed.take()) {
        (Some(index), _) => open::open_case(state, jobs, index),
        (None, Some((path, _))) => open::open_paths(state, jobs, &[path]),
        (None, None) => {}
    }
}

/// Commands about how the open case is looked at.
fn looking(state: &mut State, jobs: &mut Jobs, command: Command) {
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
            contrast(state, &document, &display, &command);
        }
        other => overlay(state, &document, &display, other),
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
        _ => state.view.panes.iter_mut().for_each(|pane| pane.camera = Camera::default()),
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

fn contrast(state: &mut State, document: &Document, display: &DisplayGrid, command: &Command) {
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
    Some(WindowLevel::of_range(f64::from(low), f64::from(high)))
}

/// Commands about the overlay, findings and measurements.
fn overlay(state: &mut State, document: &Document, display: &DisplayGrid, command: Command) {
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

/// The axial slice, counted from the feet, of a stored slice of the axis nearest to S-I.
pub fn canonical_slice(grid: &engine::volume::Grid, stored: usize) -> usize {
    let axis = axial_axis(grid);
    if grid.orientation().flip[axis] { grid.shape[axis] - 1 - stored } else { stored }
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

/// Says that a worker's defect was survived; used by the window's own guard.
pub fn report_defect(state: &mut State, what: &str) {
    state.notice(Severity::Error, "Something went wrong", what.to_owned());
}

/// The crosshair's display index, for what is drawn at it.
pub fn crosshair_index(state: &State, display: &DisplayGrid) -> DVec3 {
    display.display_from_world.transform_point3(state.view.crosshair)
}
