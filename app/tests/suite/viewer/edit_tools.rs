//! Painting with the mouse: the effect of each tool in every plane, and the keys of the tools.

use amlp_viewer::command::{EditCommand, OverlayCommand, ViewCommand};
use amlp_viewer::scene::{PaneMap, PlaneMode};
use amlp_viewer::state::view::Overlay;
use amlp_viewer::state::{Intent, MaskRole, PaneId, ToolKind};
use egui::{Event, Key, Modifiers, PointerButton, Pos2, pos2};
use engine::edit::op::Mode;
use engine::volume::Grid;
use glam::{DVec2, DVec3};

use crate::phantom::{self, Files, straight};
use crate::window::*;

const PANES: [PaneId; 3] = [PaneId::Axial, PaneId::Sagittal, PaneId::Coronal];

/// Screen position of a world position in a pane.
pub(super) fn screen_position(window: &Window, pane: PaneId, world: DVec3) -> Pos2 {
    let (state, rect) = (state(window), rect(window, &pane.name()));
    let size = DVec2::new(f64::from(rect.width()), f64::from(rect.height()));
    let display = document(window).display_of(pane, state.session.settings.planes);
    let convention = state.session.settings.convention;
    let map = PaneMap::new(&display, pane.plane(), convention, state.session.view.camera(pane), size);
    let at = map.place_of_index(display.display_from_world.transform_point3(world));
    rect.min + egui::vec2(at.x as f32, at.y as f32)
}

/// Moves the pointer with a button down along a path, one point per frame.
pub(super) fn stroke(window: &mut Window, path: &[Pos2], button: PointerButton, modifiers: Modifiers) {
    begin_stroke(window, path, button, modifiers);
    release(window, *path.last().unwrap(), button);
}

/// Ends a stroke.
pub(super) fn release(window: &mut Window, at: Pos2, button: PointerButton) {
    window.event(Event::PointerButton { pos: at, button, pressed: false, modifiers: Modifiers::NONE });
    window.event(Event::ModifiersChanged(Modifiers::NONE));
    settle(window);
    // The next press must not count as a double click.
    pass_time(window);
}

/// Begins a stroke without ending it.
pub(super) fn begin_stroke(window: &mut Window, path: &[Pos2], button: PointerButton, modifiers: Modifiers) {
    window.event(Event::ModifiersChanged(modifiers));
    window.event(Event::PointerMoved(path[0]));
    window.event(Event::PointerButton { pos: path[0], button, pressed: true, modifiers });
    for at in &path[1..] {
        window.event(Event::PointerMoved(*at));
        window.run_steps(1);
    }
    window.run_steps(2);
}

pub(super) fn paint(window: &mut Window, path: &[Pos2]) {
    stroke(window, path, PointerButton::Primary, Modifiers::NONE);
}

/// The stored voxels of the segmentation that have a label.
pub(super) fn labelled(window: &Window, label: u16) -> Vec<[usize; 3]> {
    let Some(mask) = document(window).segmentation() else { return Vec::new() };
    let [nx, ny, _] = mask.labels.shape();
    let inside = (0..mask.labels.grid().len()).filter(|&at| mask.labels.get(at) == label);
    inside.map(|at| [at % nx, at / nx % ny, at / (nx * ny)]).collect()
}

/// The stored voxels within a radius of a line in mm; if a direction is given, only in one slice across it.
fn near(grid: &Grid, [from, to]: [DVec3; 2], radius: f64, across: Option<DVec3>) -> Vec<[usize; 3]> {
    let voxels = phantom::voxels(grid.shape);
    let inside = voxels.filter(|&voxel| {
        let at = grid.world(voxel);
        let share =
            if from == to { 0.0 } else { ((at - from).dot(to - from) / (to - from).length_squared()).clamp(0.0, 1.0) };
        let in_slice = across.is_none_or(|across| (at - from).dot(across).abs() < 0.1);
        in_slice && at.distance(from.lerp(to, share)) <= radius
    });
    inside.collect()
}

/// Unit vector across the slices of a pane.
fn across(window: &Window, pane: PaneId) -> DVec3 {
    document(window).display(state(window).session.settings.planes).direction(pane.plane().axis())
}

fn undo_name(window: &Window) -> Option<String> {
    document(window).edits.list.undo_name().map(str::to_owned)
}

#[test]
fn a_dab_paints_the_disc_or_ball_under_the_pointer_in_every_plane() {
    for (files, planes) in [(Files::new(), PlaneMode::Native), (Files::on(&straight()), PlaneMode::World)] {
        for mode in [Mode::Slice, Mode::Volume] {
            let mut window = open_files(&[&files.scan]);
            send(&mut window, ViewCommand::SetPlanes(planes));
            send(&mut window, EditCommand::SetMode(mode));
            press(&mut window, Key::B);
            for pane in PANES {
                let crosshair = state(&window).session.view.crosshair;
                let at = screen_position(&window, pane, crosshair);
                paint(&mut window, &[at]);
                let grid = document(&window).base().volume.grid.clone();
                let plane = (mode == Mode::Slice).then(|| across(&window, pane));
                let expected = near(&grid, [crosshair; 2], 5.0, plane);
                assert!(expected.len() > 8, "{expected:?}");
                assert_eq!(labelled(&window, 1), expected, "{planes:?}, {mode:?}, {pane:?}");
                press_with(&mut window, CTRL, Key::Z);
                assert_eq!(labelled(&window, 1).len(), 0);
            }
            assert_eq!(errors(&window), [""; 0]);
        }
    }
}

#[test]
fn a_stroke_is_one_named_step_without_gaps() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    send(&mut window, ViewCommand::SetTool(ToolKind::Brush));
    let grid = document(&window).base().volume.grid.clone();
    let display = document(&window).display(PlaneMode::Native);
    let [from, to] = [[8, 14, 11], [30, 14, 11]].map(|index| display.world(index));
    let ends = [from, to].map(|end| screen_position(&window, PaneId::Axial, end));
    paint(&mut window, &[ends[0], ends[0] + (ends[1] - ends[0]) * 0.4, ends[1]]);
    let expected = near(&grid, [from, to], 5.0, Some(across(&window, PaneId::Axial)));
    assert_eq!(labelled(&window, 1), expected);
    assert_eq!(document(&window).edits.list.entries().len(), 1);
    assert_eq!(undo_name(&window).as_deref(), Some("Brush stroke, label 1, slice 12"));
    assert!(document(&window).is_unsaved());
    // A case without a segmentation got an unsaved one, which is removed again.
    press_with(&mut window, CTRL, Key::Z);
    assert!(labelled(&window, 1).is_empty() && !document(&window).is_unsaved());
    let again = Modifiers { shift: true, ..CTRL };
    for (modifiers, key) in [(again, Key::Z), (CTRL, Key::Y)] {
        press_with(&mut window, modifiers, key);
        assert_eq!(labelled(&window, 1), expected, "{key:?}");
        press_with(&mut window, CTRL, Key::Z);
    }
    // A new edit drops undone ones.
    press(&mut window, Key::E);
    paint(&mut window, &[ends[0]]);
    assert_eq!(undo_name(&window), None, "there was nothing to erase");
    assert!(document(&window).edits.list.redo_name().is_some());
    press(&mut window, Key::B);
    paint(&mut window, &[ends[1]]);
    assert_eq!(document(&window).edits.list.redo_name(), None);
}

#[test]
fn the_right_button_erases_and_alt_picks_with_every_tool() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let crosshair = state(&window).session.view.crosshair;
    let at = screen_position(&window, PaneId::Axial, crosshair);
    let before = labelled(&window, 1);
    let zoom = state(&window).session.view.camera(PaneId::Axial).zoom;
    let brushes = ToolKind::EDIT.into_iter().filter(|tool| tool.is_brush());
    for (tool, key) in brushes.zip([Key::B, Key::E, Key::R, Key::G]) {
        press(&mut window, key);
        assert_eq!(state(&window).session.view.tool, tool);
        stroke(&mut window, &[at], PointerButton::Secondary, Modifiers::NONE);
        let left = labelled(&window, 1);
        assert!(left.len() < before.len() && left.iter().all(|voxel| before.contains(voxel)), "{tool:?}");
        assert_eq!(undo_name(&window).as_deref().map(|name| name.starts_with("Eraser stroke, slice")), Some(true));
        press_with(&mut window, CTRL, Key::Z);
        assert_eq!(labelled(&window, 1), before, "{tool:?}");
    }
    assert_eq!(state(&window).session.view.camera(PaneId::Axial).zoom, zoom, "only Ctrl + wheel zooms");
    wheel(&mut window, "Axial", 1.0, CTRL);
    assert!(state(&window).session.view.camera(PaneId::Axial).zoom > zoom);
    send(&mut window, ViewCommand::Fit);
    // Another label, then back by Alt.
    send(&mut window, EditCommand::SetLabel(7));
    stroke(&mut window, &[at], PointerButton::Primary, Modifiers::ALT);
    assert_eq!((state(&window).session.edit.label, labelled(&window, 1)), (1, before));
    press(&mut window, Key::Num1);
    assert_eq!(state(&window).session.view.tool, ToolKind::Crosshair);
    stroke(&mut window, &[at], PointerButton::Secondary, Modifiers::NONE);
    assert_eq!(document(&window).edits.list.entries().len(), 1, "the right button zooms again: only the undone step");
}

#[test]
fn brackets_and_shift_with_the_wheel_change_the_size() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    press(&mut window, Key::B);
    let radius = |window: &Window| state(window).session.edit.radius_mm;
    press(&mut window, Key::CloseBracket);
    assert_eq!(radius(&window), 5.8);
    press(&mut window, Key::OpenBracket);
    assert_eq!(radius(&window), 4.8);
    let slices_before = slices(&window);
    wheel(&mut window, "Axial", 2.0, Modifiers::SHIFT);
    assert_eq!((radius(&window), slices(&window)), (6.5, slices_before.clone()));
    wheel(&mut window, "Axial", -1.0, Modifiers::NONE);
    assert_ne!(slices(&window), slices_before, "without Shift the wheel steps");
    assert!(has(&window, "Brush radius") && has(&window, "2-D disc"));
    click(&mut window, "3-D ball");
    assert_eq!(state(&window).session.edit.mode, Mode::Volume);
}

#[test]
fn escape_cancels_only_the_stroke_in_progress() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    send(&mut window, ViewCommand::Maximise(Some(PaneId::Axial)));
    press(&mut window, Key::B);
    let before = labelled(&window, 1);
    let at = rect(&window, "Axial").center();
    begin_stroke(&mut window, &[at, at + egui::vec2(60.0, 0.0)], PointerButton::Primary, Modifiers::NONE);
    assert!(labelled(&window, 1).len() > before.len(), "it is visible at once");
    press(&mut window, Key::Escape);
    assert_eq!(labelled(&window, 1), before);
    assert_eq!((undo_name(&window), document(&window).is_unsaved()), (None, false));
    assert!(state(&window).session.view.maximised.is_some());
    // The button is still down, but further moves are not part of a stroke.
    window.event(Event::PointerMoved(at));
    release(&mut window, at, PointerButton::Primary);
    assert_eq!((labelled(&window, 1), undo_name(&window)), (before, None));
}

#[test]
fn strokes_may_leave_the_pane_and_start_outside_the_image() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    press(&mut window, Key::B);
    let (pane, crosshair) = (rect(&window, "Axial"), state(&window).session.view.crosshair);
    let inside = screen_position(&window, PaneId::Axial, crosshair);
    // Out over the top bar, over another pane, and in again at another position: no line between leaving and entering.
    let right = pos2(pane.right() + 200.0, inside.y);
    let below = pos2(pane.right() + 200.0, pane.bottom() + 200.0);
    let lower = pos2(inside.x, pane.bottom() + 200.0);
    paint(&mut window, &[inside, right, below, lower, inside + egui::vec2(0.0, 10.0)]);
    assert_eq!(document(&window).edits.list.entries().len(), 1);
    let painted = labelled(&window, 1);
    let grid = &document(&window).base().volume.grid;
    let slice = across(&window, PaneId::Axial);
    let flat = painted.iter().all(|voxel| (grid.world(*voxel) - crosshair).dot(slice).abs() < 0.1);
    assert!(flat && !painted.is_empty(), "only in the slice of its pane");
    press_with(&mut window, CTRL, Key::Z);
    // The pane is wider than the image.
    send(&mut window, EditCommand::SetRadius(0.5));
    let corner = pane.left_top() + egui::vec2(3.0, 60.0);
    let display = document(&window).display(PlaneMode::Native);
    assert!(screen_position(&window, PaneId::Axial, display.world([39, 35, 11])).x > corner.x + 12.0);
    paint(&mut window, &[corner, corner + egui::vec2(0.0, 5.0)]);
    assert_eq!((labelled(&window, 1).len(), undo_name(&window)), (0, None));
    paint(&mut window, &[corner, inside]);
    assert!(!labelled(&window, 1).is_empty() && undo_name(&window).is_some());
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn value_based_brushes_paint_only_matching_voxels() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let value = |window: &Window, voxel: [usize; 3]| document(window).base().volume.value_at(voxel, 0);
    let lesion = document(&window).display(PlaneMode::Native).world([13, 20, 8]);
    send(&mut window, ViewCommand::MoveCrosshair(lesion));
    let at = screen_position(&window, PaneId::Axial, lesion);
    press(&mut window, Key::R);
    send(&mut window, EditCommand::SetRadius(15.0));
    send(&mut window, EditCommand::SetRange(Some([500.0, 110.0])));
    assert_eq!(state(&window).session.edit.range, Some([110.0, 500.0]));
    paint(&mut window, &[at]);
    let painted = labelled(&window, 1);
    let grid = document(&window).base().volume.grid.clone();
    let mut expected = near(&grid, [lesion; 2], 15.0, Some(across(&window, PaneId::Axial)));
    let all = expected.len();
    expected.retain(|voxel| value(&window, *voxel) >= 110.0);
    assert!(painted == expected && painted.len() < all && painted.len() > 10);
    assert_eq!(undo_name(&window).as_deref(), Some("Range brush stroke, label 1, slice 9"));
    press_with(&mut window, CTRL, Key::Z);
    // Without a set range, the display window.
    send(&mut window, EditCommand::SetRange(None));
    send(&mut window, ViewCommand::SetWindow { width: 40.0, level: 160.0 });
    paint(&mut window, &[at]);
    assert!(labelled(&window, 1).iter().all(|voxel| (140.0..=180.0).contains(&value(&window, *voxel))));
    press_with(&mut window, CTRL, Key::Z);
    press(&mut window, Key::G);
    send(&mut window, EditCommand::SetTolerance(Some(30.0)));
    paint(&mut window, &[at]);
    let seed = document(&window).value_at(0, lesion).unwrap();
    let grown = labelled(&window, 1);
    assert!(grown.len() > 10 && grown.iter().all(|voxel| (value(&window, *voxel) - seed).abs() <= 30.0));
}

#[test]
fn an_edit_makes_the_edited_mask_visible() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    press(&mut window, Key::B);
    send(&mut window, OverlayCommand::Show(Overlay::Reference));
    send(&mut window, OverlayCommand::ShowLabel(1, false));
    send(&mut window, OverlayCommand::SetOpacity(0.0));
    let reference = document(&window).reference().unwrap().labels.clone();
    let at = rect(&window, "Axial").center();
    paint(&mut window, &[at]);
    let now = state(&window);
    assert_eq!(now.session.view.overlay, Overlay::Segmentation);
    assert!(now.session.view.hidden_labels.is_empty() && now.session.settings.opacity > 0.0);
    assert_eq!(document(&window).reference().unwrap().labels, reference, "the reference is never painted");
    assert!(document(&window).segmentation().unwrap().is_unsaved());
    // The comparison stays while it shows the painted label, that is, for lesions but not for labels missing in the
    // reference.
    send(&mut window, OverlayCommand::Show(Overlay::Comparison));
    paint(&mut window, &[at + egui::vec2(20.0, 0.0)]);
    assert_eq!(state(&window).session.view.overlay, Overlay::Comparison);
    send(&mut window, EditCommand::SetLabel(2));
    paint(&mut window, &[at]);
    assert!(!labelled(&window, 2).is_empty());
    assert_eq!(state(&window).session.view.overlay, Overlay::Segmentation);
}

#[test]
fn a_copy_of_the_reference_can_be_corrected() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.truth]);
    let reference = document(&window).reference().unwrap().labels.clone();
    send(&mut window, Intent::CorrectReference);
    let copy = document(&window).segmentation().unwrap();
    assert!(copy.labels == reference && copy.is_unsaved() && copy.path.is_none());
    press(&mut window, Key::E);
    let at = rect(&window, "Axial").center();
    paint(&mut window, &[at]);
    assert_ne!(document(&window).mask(MaskRole::Segmentation).unwrap().labels, reference);
    assert_eq!(document(&window).reference().unwrap().labels, reference);
    press_with(&mut window, CTRL, Key::Z);
    press_with(&mut window, CTRL, Key::Z);
    assert!(document(&window).segmentation().is_none(), "the copy is a step, too");
}
