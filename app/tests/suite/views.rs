//! The panes under the mouse and the keyboard, without a graphics adapter.

use std::path::Path;
use std::time::{Duration, Instant};

use amlp_viewer::scene::{Camera, Convention, DisplayGrid, PaneMap, Plane, PlaneMode};
use amlp_viewer::state::report::Report;
use amlp_viewer::state::{PaneId, Settings, ToolKind};
use amlp_viewer::{App, Args};
use egui::{Event, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use engine::volume::{Grid, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DMat3, DVec2, DVec3};

/// Stored from left to right, back to front, head to feet: 40 x 50 x 30 voxels of 2 x 2 x 3 mm.
fn grid() -> Grid {
    let matrix3 = DMat3::from_diagonal(DVec3::new(2.0, -2.0, -3.0));
    Grid::new([40, 50, 30], DAffine3 { matrix3, translation: DVec3::new(-39.0, 51.0, 44.0) })
}

fn write_scan(path: &Path) {
    let voxels = (0..60_000).map(|n| (n % 997) as i16).collect::<Vec<_>>();
    nifti::write_volume(path, &Volume::new(grid(), VoxelData::I16(voxels), Scale::IDENTITY)).unwrap();
}

fn open(path: &Path) -> Harness<'static, App> {
    let args = Args { paths: vec![path.to_path_buf()], ..Args::default() };
    let app = App::new(&egui::Context::default(), None, &args, Settings::default());
    let mut harness = Harness::builder().with_size(vec2(1280.0, 800.0)).with_step_dt(1.0 / 60.0).build_ui_state(
        |ui, app: &mut App| {
            let ctx = ui.ctx().clone();
            app.logic(&ctx);
            app.ui(ui);
        },
        app,
    );
    let start = Instant::now();
    while !harness.state().is_idle() || harness.state().state().document.is_none() {
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", harness.state().state().notices);
        std::thread::sleep(Duration::from_millis(5));
        harness.step();
    }
    // Scroll bars fade in for some frames after the last list has come.
    harness.run_steps(20);
    harness
}

fn report(harness: &Harness<'_, App>) -> Report {
    Report::of(harness.state().state())
}

fn slices(harness: &Harness<'_, App>) -> Vec<Option<usize>> {
    report(harness).panes.into_iter().map(|pane| pane.slice).collect()
}

fn rect(harness: &Harness<'_, App>, pane: &str) -> Rect {
    harness.get_by_label(pane).rect()
}

fn wheel(harness: &mut Harness<'_, App>, lines: f32, modifiers: Modifiers) {
    harness.event(Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, lines),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
        modifiers,
    });
    // Not until idle: egui smooths the wheel over many frames, which panes do not wait for.
    harness.run_steps(2);
}

fn button(harness: &mut Harness<'_, App>, pos: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) {
    harness.event(Event::PointerButton { pos, button, pressed, modifiers });
    harness.step();
}

fn drag(harness: &mut Harness<'_, App>, from: Pos2, to: Pos2, which: PointerButton, modifiers: Modifiers) {
    harness.event(Event::ModifiersChanged(modifiers));
    harness.event(Event::PointerMoved(from));
    harness.step();
    button(harness, from, which, true, modifiers);
    harness.event(Event::PointerMoved(from + (to - from) / 2.0));
    harness.event(Event::PointerMoved(to));
    harness.step();
    button(harness, to, which, false, modifiers);
    harness.event(Event::ModifiersChanged(Modifiers::NONE));
    // What is measured is listed in the panel, which scrolls to it within a few frames.
    harness.run_steps(12);
}

#[test]
fn the_wheel_steps_through_slices_of_the_pane_under_the_pointer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii");
    write_scan(&path);
    let mut harness = open(&path);
    assert_eq!(slices(&harness), [Some(15), Some(20), Some(25), None], "the middle");
    assert!(harness.get_by_label("Axial").value().unwrap().contains("slice 15 of 30"));

    harness.get_by_label("Axial").hover();
    wheel(&mut harness, -1.0, Modifiers::NONE);
    assert_eq!(slices(&harness), [Some(14), Some(20), Some(25), None], "down is towards the feet");
    wheel(&mut harness, 3.0, Modifiers::NONE);
    assert_eq!(slices(&harness)[0], Some(17));
    // Stored from head to feet: slice 17 from the feet is voxel 13 of 30.
    assert_eq!(report(&harness).crosshair.unwrap().voxel.unwrap()[2], 13);
    for _ in 0..4 {
        wheel(&mut harness, 0.25, Modifiers::NONE);
    }
    assert_eq!(slices(&harness)[0], Some(18), "parts of a notch add up");

    harness.get_by_label("Sagittal").hover();
    wheel(&mut harness, -2.0, Modifiers::NONE);
    assert_eq!(slices(&harness), [Some(18), Some(18), Some(25), None], "down is towards the patient's left");
    let zoom = |harness: &Harness<'_, App>| harness.state().state().session.view.camera(PaneId::Sagittal).zoom;
    wheel(&mut harness, 2.0, Modifiers::COMMAND);
    assert!(zoom(&harness) > 1.3, "Ctrl and the wheel zoom");
    assert_eq!(slices(&harness)[1], Some(18));
    wheel(&mut harness, 1000.0, Modifiers::NONE);
    assert_eq!(slices(&harness)[1], Some(40), "the last slice is the end");
}

#[test]
fn dragging_moves_the_crosshair_to_the_voxel_under_the_pointer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii");
    write_scan(&path);
    let mut harness = open(&path);
    let pane = rect(&harness, "Axial");
    let (from, to) = (pane.center(), pane.center() + vec2(57.0, -31.0));
    drag(&mut harness, from, to, PointerButton::Primary, Modifiers::NONE);

    let display = DisplayGrid::new(&grid(), PlaneMode::Native);
    let size = DVec2::new(f64::from(pane.width()), f64::from(pane.height()));
    let map = PaneMap::new(&display, Plane::Axial, Convention::Radiological, Camera::default(), size);
    let offset = to - pane.min;
    let index = map.index_in_space(DVec2::new(f64::from(offset.x), f64::from(offset.y)), 14.0).round();
    let expected = display.voxel_at(display.world_from_display.transform_point3(index)).unwrap();
    let crosshair = report(&harness).crosshair.unwrap();
    assert_eq!(crosshair.voxel, Some(expected));
    let [i, j, k] = expected;
    assert_eq!(crosshair.value, Some(((i + 40 * (j + 50 * k)) % 997) as f64));
    assert_eq!(slices(&harness), [Some(15), Some(index.x as usize + 1), Some(index.y as usize + 1), None]);
    assert_eq!(harness.state().state().session.view.active, Some(PaneId::Axial));
}

#[test]
fn contrast_pan_and_zoom_have_their_own_buttons_with_any_tool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii");
    write_scan(&path);
    let mut harness = open(&path);
    let (before, at) = (report(&harness), rect(&harness, "Axial").center());
    drag(&mut harness, at, at + vec2(80.0, 0.0), PointerButton::Primary, Modifiers::COMMAND);
    let wider = report(&harness);
    assert!(wider.window > before.window && wider.level == before.level);
    assert_eq!(wider.crosshair, before.crosshair);
    drag(&mut harness, at, at + vec2(0.0, 40.0), PointerButton::Primary, Modifiers::COMMAND);
    assert!(report(&harness).level > wider.level, "down is darker");

    let camera = |harness: &Harness<'_, App>| harness.state().state().session.view.camera(PaneId::Axial);
    drag(&mut harness, at, at + vec2(0.0, -100.0), PointerButton::Secondary, Modifiers::NONE);
    assert!((camera(&harness).zoom - 2.0).abs() < 1e-9);
    let zoomed = camera(&harness);
    drag(&mut harness, at, at + vec2(20.0, 10.0), PointerButton::Middle, Modifiers::NONE);
    let moved = camera(&harness).centre_mm - zoomed.centre_mm;
    assert!(moved.x < 0.0 && moved.y < 0.0 && (moved.x / moved.y - 2.0).abs() < 1e-6, "{moved}");
    assert_eq!(report(&harness).crosshair, before.crosshair);
}

#[test]
fn tools_measure_in_millimetres_and_double_click_maximises() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii");
    write_scan(&path);
    let mut harness = open(&path);
    let pane = rect(&harness, "Coronal");
    let at = pane.center();
    harness.key_press(Key::Num5);
    harness.run();
    assert_eq!(harness.state().state().session.view.tool, ToolKind::Ruler);
    drag(&mut harness, at, at + vec2(60.0, 0.0), PointerButton::Primary, Modifiers::NONE);
    // The slice is 80 x 90 mm and fits the pane's height.
    let scale = f64::from((pane.width() / 80.0).min(pane.height() / 90.0));
    let [a, b] = harness.state().state().measures()[0].ends_mm;
    assert!((a.distance(b) - 60.0 / scale).abs() < 1e-3, "{}", a.distance(b));

    harness.key_press(Key::Num6);
    harness.run();
    drag(&mut harness, at, at + vec2(50.0, 40.0), PointerButton::Primary, Modifiers::NONE);
    let statistics = harness.state().state().measures()[1].statistics.unwrap();
    let area = std::f64::consts::PI * 25.0 * 20.0 / (scale * scale);
    assert!((statistics.area_mm2 - area).abs() < 1e-2, "{}", statistics.area_mm2);
    assert!((statistics.voxels as f64 - area / 6.0).abs() < 12.0, "{} voxels of 6 mm²", statistics.voxels);

    harness.key_press(Key::Num3);
    harness.run();
    for expected in [1, 4] {
        for _ in 0..2 {
            button(&mut harness, at, PointerButton::Primary, true, Modifiers::NONE);
            button(&mut harness, at, PointerButton::Primary, false, Modifiers::NONE);
        }
        harness.run();
        assert_eq!(report(&harness).panes.len(), expected);
        // Two pairs of clicks must not count as four; time advances with frames.
        harness.run_steps(40);
    }
}

#[test]
fn panes_take_the_focus_and_keep_the_arrow_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii");
    write_scan(&path);
    let mut harness = open(&path);
    harness.get_by_label("Coronal").focus();
    harness.run();
    harness.key_press(Key::ArrowUp);
    harness.run();
    harness.key_press(Key::PageDown);
    harness.run();
    assert_eq!(slices(&harness), [Some(15), Some(20), Some(16), None]);
    assert!(harness.get_by_label("Coronal").is_focused());
    assert!(harness.get_by_label("Coronal").value().unwrap().contains("Not drawn: no graphics adapter"));
}
