#![allow(clippy::unwrap_used, reason = "tests")]

use egui::vec2;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glam::DMat3;

use super::*;
use crate::widget::focus::Arrows;

const RECT: Rect = Rect { min: pos2(50.0, 20.0), max: pos2(450.0, 340.0) };

/// 8 x 8 pixels of 2 x 2 x 3 mm, 4 x 4 patches.
fn pane() -> PatchPane<'static> {
    let matrix3 = DMat3::from_rotation_z(0.3) * DMat3::from_diagonal(DVec3::new(2.0, 2.0, 3.0));
    let world_from_crop = DAffine3 { matrix3, translation: DVec3::new(11.0, -4.0, 25.0) };
    let labels = &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    PatchPane { size: 8, grid: 4, world_from_crop, labels, title: "Input", ..PatchPane::default() }
}

impl PanePlacement<'_> {
    /// Screen rectangle of the slice.
    fn picture(&self) -> Rect {
        let [x, y] = Plane::Axial.screen_axes();
        let end = |axis: usize| self.display.shape[axis] as f64 - 0.5;
        let corner = |across: f64, down: f64| {
            let mut index = DVec3::splat(self.slice);
            (index[x], index[y]) = (across, down);
            let place = self.map.place_of_index(index);
            pos2(self.rect.min.x + place.x as f32, self.rect.min.y + place.y as f32)
        };
        Rect::from_two_pos(corner(-0.5, -0.5), corner(end(x), end(y)))
    }
}

fn middle(placed: &PanePlacement<'_>, patch: usize) -> Pos2 {
    let [a, _, c, _] = placed.corners(patch);
    a + (c - a) / 2.0
}

#[test]
fn the_slice_fits_the_pane_and_patches_follow_the_patients_axes() {
    let pane = pane();
    let placed = pane.placed(RECT);
    // A margin of 7 % of 320 points leaves a square of 275.2 points, so patches of 68.8 points.
    assert!((placed.map.scale() - 17.2).abs() < 1e-6, "{}", placed.map.scale());
    // Patch 3: left and front of the patient; on the screen right and up.
    assert!(middle(&placed, 3).distance(pos2(353.2, 76.8)) < 1e-3, "{}", middle(&placed, 3));
    assert!(middle(&placed, 0).distance(pos2(353.2, 283.2)) < 1e-3);
    let neurological = PatchPane { convention: Convention::Neurological, ..pane };
    assert!(middle(&neurological.placed(RECT), 3).distance(pos2(146.8, 76.8)) < 1e-3);
}

#[test]
fn the_badge_beside_a_name_covers_no_patch() {
    let tall = Rect::from_min_size(RECT.min, vec2(200.0, 200.0));
    let top = |badge| PatchPane { badge, ..pane() }.placed(tall).picture().top() - tall.top();
    // Its height and its distance from the edge.
    assert!(top(Some("other spacing")) >= 22.0 && top(None) < 18.0);
}

#[test]
fn the_badge_of_a_bare_pane_covers_no_patch() {
    for badge in [None, Some("not trained on")] {
        let pane = PatchPane { bare: true, badge, ..pane() };
        let (tall, free) =
            (Rect::from_min_size(RECT.min, vec2(200.0, 200.0)), if badge.is_some() { 18.0 } else { 12.0 });
        let picture = pane.placed(tall).picture();
        assert!(picture.top() - tall.top() >= free, "{badge:?}: {picture:?}");
    }
}

#[test]
fn every_patch_is_found_where_it_is_drawn() {
    let mut pane = pane();
    for camera in [Camera::default(), Camera { zoom: 2.3, centre_mm: DVec2::new(3.0, -2.0) }] {
        pane.camera = camera;
        let placed = pane.placed(RECT);
        for patch in 0..16 {
            assert_eq!(placed.patch_at(middle(&placed, patch)), Some(patch));
        }
        let [a, _, c, _] = placed.corners(15);
        let outside = c + (c - a) * 0.1;
        assert_eq!(placed.patch_at(outside), None);
    }
}

#[test]
fn on_the_native_grid_patches_are_aligned_by_world_position() {
    let pane = pane();
    let crop = pane.placed(RECT);
    // The scan is finer, larger and stored from the patient's left; slice 7 is the one that was prepared.
    let turned = DMat3::from_rotation_z(0.3);
    let matrix3 = turned * DMat3::from_diagonal(DVec3::new(-1.0, 1.0, 3.0));
    let corner = DVec3::new(11.0, -4.0, 25.0) + turned * DVec3::new(30.0, -5.0, -21.0);
    let grid = Grid::new([40, 30, 12], DAffine3 { matrix3, translation: corner });
    let native = PatchPane { native: Some(NativeSlice { grid: &grid, slice: 7 }), ..pane };
    let placed = native.placed(RECT);
    for patch in 0..16 {
        let (a, b) = (middle(&crop, patch), middle(&placed, patch));
        assert_eq!(placed.patch_at(b), Some(patch));
        let world_of = |p: &PanePlacement<'_>, pos| p.display.world_from_display.transform_point3(p.display_at(pos));
        let (a, b) = (world_of(&crop, a), world_of(&placed, b));
        assert!(a.abs_diff_eq(b, 1e-3), "patch {patch}: {a} {b}");
    }
}

#[test]
fn a_crop_larger_than_the_scan_is_fully_visible() {
    let pane = pane();
    let corner = DVec3::new(14.0, 0.0, 25.0);
    let grid = Grid::new([5, 4, 1], DAffine3 { matrix3: pane.world_from_crop.matrix3, translation: corner });
    let native = PatchPane { native: Some(NativeSlice { grid: &grid, slice: 0 }), ..pane };
    let placed = native.placed(RECT);
    let around = [0, 3, 12, 15].into_iter().flat_map(|patch| placed.corners(patch));
    let outside: Vec<Pos2> = around.filter(|at| !RECT.contains(*at)).collect();
    assert!(outside.is_empty(), "{outside:?}");
    let middle = DVec3::new(2.0, 1.5, 0.0);
    assert!(placed.display_at(RECT.center()).abs_diff_eq(middle, 1e-6), "the scan stays in the middle");
}

#[test]
fn uniforms_and_pointer_positions_agree() {
    let pane = PatchPane { camera: Camera { zoom: 1.7, centre_mm: DVec2::new(2.0, 1.0) }, ..pane() };
    let placed = pane.placed(RECT);
    let layer = uniforms::patches(&placed.patch_from_display, &placed.map, placed.slice, PatchShow::GRID);
    let pos = middle(&placed, 6) - RECT.min;
    let of = |row: [f32; 4]| row[0] * pos.x + row[1] * pos.y + row[3];
    let [i, j] = layer.rows.map(of);
    assert!((i - 1.5).abs() < 1e-3 && (j - 2.5).abs() < 1e-3, "{i} {j}");
    let [a, b, c, _] = placed.corners(6);
    assert!((layer.pixels[0] - a.distance(b)).abs() < 0.01 && (layer.pixels[1] - b.distance(c)).abs() < 0.01);
}

struct Window {
    pane: PatchPane<'static>,
    found: Option<PatchResponse>,
}

#[allow(clippy::large_types_passed_by_value, reason = "a test's window owns its pane")]
fn window(pane: PatchPane<'static>) -> Harness<'static, Window> {
    Harness::builder()
        .with_size(vec2(500.0, 360.0))
        .with_context_setup(|ctx| crate::theme::install(ctx, crate::theme::Theme::Light))
        .build_ui_state(
            |ui, window: &mut Window| {
                let found = window.pane.show(ui, RECT);
                window.pane.camera = found.camera.unwrap_or(window.pane.camera);
                let clicked = found.clicked.or(window.found.as_ref().and_then(|f| f.clicked));
                let notches = found.notches + window.found.as_ref().map_or(0, |f| f.notches);
                window.found = Some(PatchResponse { clicked, notches, ..found });
            },
            Window { pane, found: None },
        )
}

#[test]
fn hover_and_click_find_the_patch() {
    let mut window = window(pane());
    let at = pos2(360.0, 70.0);
    window.event(egui::Event::PointerMoved(at));
    window.run();
    assert_eq!(window.state().found.as_ref().unwrap().hovered, Some(3));
    for pressed in [true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
        window.event(egui::Event::PointerButton { pos: at, button, pressed, modifiers });
        window.step();
    }
    assert_eq!(window.state().found.as_ref().unwrap().clicked, Some(3));
    window.event(egui::Event::PointerMoved(pos2(60.0, 60.0)));
    window.run();
    assert_eq!(window.state().found.as_ref().unwrap().hovered, None, "beside the slice");
}

#[test]
fn zooming_keeps_the_point_under_the_pointer_and_is_limited() {
    let mut window = window(pane());
    let at = pos2(330.0, 110.0);
    window.event(egui::Event::PointerMoved(at));
    window.run();
    let before = window.state().found.as_ref().unwrap().world.unwrap();
    for factor in [3.0, 100.0] {
        window.event(egui::Event::Zoom(factor));
        window.run_steps(2);
        let now = window.state().found.as_ref().unwrap().world.unwrap();
        assert!(before.abs_diff_eq(now, 1e-6), "{before} {now}");
    }
    assert_eq!(window.state().pane.camera.zoom, 40.0);
}

#[test]
fn the_wheel_counts_slices_and_zooms_with_ctrl() {
    let mut window = window(pane());
    window.event(egui::Event::PointerMoved(pos2(250.0, 180.0)));
    window.run();
    for modifiers in [egui::Modifiers::NONE, egui::Modifiers::COMMAND] {
        window.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: vec2(0.0, 2.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers,
        });
        window.run_steps(2);
    }
    assert_eq!(window.state().found.as_ref().unwrap().notches, 2);
    assert!((window.state().pane.camera.zoom - 1.15 * 1.15).abs() < 1e-6);
}

#[test]
fn a_drag_with_the_right_button_zooms_and_with_the_middle_one_moves() {
    let mut window = window(pane());
    let mut drag = |button, to: Pos2| {
        let (from, modifiers) = (pos2(250.0, 180.0), egui::Modifiers::NONE);
        window.event(egui::Event::PointerMoved(from));
        window.step();
        window.event(egui::Event::PointerButton { pos: from, button, pressed: true, modifiers });
        window.step();
        window.event(egui::Event::PointerMoved(to));
        window.step();
        window.event(egui::Event::PointerButton { pos: to, button, pressed: false, modifiers });
        window.step();
        window.state().pane.camera
    };
    let zoomed = drag(egui::PointerButton::Secondary, pos2(250.0, 80.0));
    assert!((zoomed.zoom - 2.0).abs() < 1e-6, "{zoomed:?}");
    let moved = drag(egui::PointerButton::Middle, pos2(290.0, 180.0));
    // 40 points at 34.4 points a mm.
    assert!((moved.centre_mm.x - zoomed.centre_mm.x + 40.0 / 34.4).abs() < 1e-6, "{moved:?}");
}

#[test]
fn a_drag_whose_press_and_movement_fall_into_one_frame_is_not_lost() {
    let mut window = window(pane());
    let (from, to) = (pos2(250.0, 180.0), pos2(250.0, 80.0));
    let (button, modifiers) = (egui::PointerButton::Secondary, egui::Modifiers::NONE);
    let press = |pos, pressed| egui::Event::PointerButton { pos, button, pressed, modifiers };
    window.event(egui::Event::PointerMoved(from));
    window.step();
    // The harness draws a frame for each event; the window gets all of a slow frame at once.
    window.input_mut().events.extend([press(from, true), egui::Event::PointerMoved(to)]);
    window.step();
    assert!((window.state().pane.camera.zoom - 2.0).abs() < 1e-6, "{:?}", window.state().pane.camera);
    window.input_mut().events.push(press(to, false));
    window.step();
    assert!((window.state().pane.camera.zoom - 2.0).abs() < 1e-6, "{:?}", window.state().pane.camera);
}

#[test]
fn without_a_picture_the_pane_says_why_and_keeps_its_name_and_badge() {
    let mut window =
        window(PatchPane { badge: Some("not trained on"), missing: "Not drawn: no graphics adapter.", ..pane() });
    window.run();
    let spoken = window.get_by_label("Input").value().unwrap();
    assert!(spoken.contains("1 of 16 patches") && spoken.contains("not trained on"), "{spoken}");
    assert!(spoken.contains("no graphics adapter"), "{spoken}");
    assert!(window.query_by_label("not trained on").is_some());
    window.get_by_label("Input").focus();
    window.run();
    assert_eq!(crate::widget::focus::focused(&window.ctx), Some(Arrows::Slices), "no patch is chosen");
}

#[test]
fn digits_and_numbers_are_drawn_only_in_visible_patches_with_room() {
    // 16 x 16 patches in 275 points: 17 points each.
    let labels: &[u8] = &[1; 256];
    let of = |digits, zoom, numbers: Option<&'static [u16]>| {
        let camera = Camera { zoom, centre_mm: DVec2::ZERO };
        let pane = PatchPane { size: 160, grid: 16, labels, digits, numbers, camera, ..pane() };
        let ctx = egui::Context::default();
        crate::theme::install(&ctx, crate::theme::Theme::Dark);
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            let painter = ui.painter().with_clip_rect(RECT);
            write::marks(&painter, &pane.placed(RECT), None);
        });
        let text = |s: &&egui::epaint::ClippedShape| matches!(s.shape, egui::Shape::Text(_));
        let count = output.shapes.iter().filter(text).count();
        output.drop_without_applying_deltas();
        count
    };
    assert_eq!(of(true, 1.0, None), 256);
    assert_eq!(of(false, 1.0, None), 0);
    assert_eq!(of(true, 0.7, None), 256, "12 points");
    assert_eq!(of(true, 0.6, None), 0, "patches of less than 11 points");
    static NUMBERS: [u16; 256] = [7; 256];
    assert_eq!(of(false, 1.0, Some(&NUMBERS)), 0, "no room for numbers");
    let shown = of(false, 2.0, Some(&NUMBERS));
    assert!(shown > 0 && shown < 256, "only patches in sight: {shown}");
}

/// The plates and the digits of a pane, in the order of its patches.
fn digits_of(pane: &PatchPane<'_>, rect: Rect, pixels_per_point: f32) -> (Vec<Rect>, Vec<(Rect, f32)>) {
    let ctx = egui::Context::default();
    crate::theme::install(&ctx, crate::theme::Theme::Dark);
    ctx.set_pixels_per_point(pixels_per_point);
    // The scale is that of the next frame.
    ctx.run_ui(egui::RawInput::default(), |_| ()).drop_without_applying_deltas();
    let output = ctx.run_ui(egui::RawInput::default(), |ui| {
        write::marks(&ui.painter().with_clip_rect(rect), &pane.placed(rect), None);
    });
    assert_eq!(output.pixels_per_point, pixels_per_point);
    let (mut plates, mut digits) = (Vec::new(), Vec::new());
    for shape in &output.shapes {
        match &shape.shape {
            egui::Shape::Rect(plate) => plates.push(plate.rect),
            egui::Shape::Text(text) => {
                let size = text.galley.job.sections[0].format.font_id.size;
                digits.push((Rect::from_min_size(text.pos, text.galley.size()), size));
            }
            _ => {}
        }
    }
    output.drop_without_applying_deltas();
    (plates, digits)
}

#[test]
fn digits_are_centred_on_plates_in_their_patches_at_every_scale() {
    let labels: &[u8] = &[1; 256];
    // A cell of Fig. 4 in a window of 1280 x 720 points, and a pane that fills the screen.
    for (side, pixels_per_point) in [(220.0, 1.0), (220.0, 2.0), (900.0, 1.0), (900.0, 2.0)] {
        let rect = Rect::from_min_size(pos2(50.0, 20.0), vec2(side + 40.0, side));
        let pane = PatchPane { size: 160, grid: 16, labels, digits: true, bare: true, ..pane() };
        let (plates, digits) = digits_of(&pane, rect, pixels_per_point);
        assert_eq!((plates.len(), digits.len()), (256, 256), "{side} at {pixels_per_point}");
        let placed = pane.placed(rect);
        let corners = placed.corners(0);
        let width = corners[0].distance(corners[1]);
        for (patch, (plate, (digit, size))) in plates.iter().zip(&digits).enumerate() {
            let middle = middle(&placed, patch);
            assert!(plate.center().distance(middle) < 0.6 && digit.center().distance(middle) < 0.6, "{patch}");
            assert!(plate.width() > digit.width() && plate.width() < 0.8 * width, "{plate:?} in {width}");
            assert!(plate.height() > 0.73 * size && plate.height() < 0.8 * width, "{plate:?} in {width}");
        }
        assert!((8.0..0.7 * width).contains(&digits[0].1), "{} in {width}", digits[0].1);
    }
}

#[test]
fn a_click_takes_the_focus_and_space_pins_the_selected_patch() {
    let mut window = window(PatchPane { slot: "large", ..pane() });
    let focused = |window: &Harness<'_, Window>| crate::widget::focus::focused(&window.ctx);
    let clicked = |window: &mut Harness<'_, Window>| window.state_mut().found.as_mut().unwrap().clicked.take();
    let at = pos2(360.0, 70.0);
    window.event(egui::Event::PointerMoved(at));
    window.run();
    for pressed in [true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
        window.event(egui::Event::PointerButton { pos: at, button, pressed, modifiers });
        window.step();
    }
    window.run();
    assert_eq!((clicked(&mut window), focused(&window)), (Some(3), Some(Arrows::Slices)));
    // The caller sets the pin, and the title changes with it.
    (window.state_mut().pane.chosen, window.state_mut().pane.title) = (Some(3), "Another epoch");
    window.run();
    assert_eq!(focused(&window), Some(Arrows::Patches));
    // Down the screen is towards the back: column 2 of the same row. The pointer still rests on patch 3.
    window.key_press(egui::Key::ArrowDown);
    window.run();
    assert_eq!(clicked(&mut window), Some(2));
    window.state_mut().pane.chosen = Some(2);
    window.run();
    window.key_press(egui::Key::Space);
    window.run();
    assert_eq!(clicked(&mut window), Some(2), "unpins it");
    window.state_mut().pane.chosen = None;
    window.run();
    window.key_press(egui::Key::Enter);
    window.run();
    assert_eq!(clicked(&mut window), None);
    window.key_press(egui::Key::Space);
    window.run();
    assert_eq!(clicked(&mut window), Some(2), "pins it again");
    window.ctx.memory_mut(|memory| memory.surrender_focus(memory.focused().unwrap()));
    window.key_press(egui::Key::Space);
    window.run();
    assert_eq!(clicked(&mut window), None, "without focus, Space pins nothing");
}

#[test]
fn assistive_software_can_pin_the_middle_patch() {
    let mut window = window(pane());
    window.get_by_label("Input").focus();
    window.run();
    window.get_by_label("Input").click_accesskit();
    window.run();
    assert_eq!(window.state().found.as_ref().unwrap().clicked, Some(10));
}

#[test]
fn the_upper_letter_moves_beside_the_name_in_a_small_pane() {
    let (name, letter) = (Rect::from_min_size(pos2(54.0, 24.0), vec2(82.0, 13.0)), vec2(9.0, 14.0));
    for width in [100.0, 124.0, 160.0, 300.0] {
        let rect = Rect::from_min_size(pos2(54.0, 24.0), vec2(width, 150.0));
        let top = write::top_of_letter(rect, name, letter);
        let place = egui::Align2::CENTER_TOP.anchor_size(top, letter);
        assert!(rect.contains_rect(place) && !place.shrink(2.0).intersects(name), "{width}: {place}");
        assert_eq!(top.y == rect.top(), width > 110.0, "{width}: on the line of the name where it has room");
        assert!(width < 300.0 || top.x == rect.center().x);
    }
    let bare = write::top_of_letter(RECT, Rect::NOTHING, letter);
    assert_eq!(bare, RECT.center_top());
}

#[test]
fn the_picture_of_a_pane_lies_inside_its_margin() {
    let pane = pane();
    let placed = pane.placed(RECT);
    assert!((placed.picture().width() - 275.2).abs() < 1e-2 && RECT.contains_rect(placed.picture()));
}
