//! The patch layer: drawn by the GPU compared with the CPU twin, and in the patch pane of the Masking and Train modes.

use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::gpu::{GpuError, PatchPaint, SlicePaint};
use amlp_viewer::scene::{Camera, Convention, DisplayGrid, PaneMap, Plane, PlaneMode, crop};
use amlp_viewer::view::patch_pane::{NativeSlice, PatchPane};
use egui::{ColorImage, Rect, pos2, vec2};
use engine::volume::{Grid, Volume};
use glam::{DAffine3, DMat3, DVec2, DVec3};
use shaders::{Cell, PatchShow, Patches, colour};

use super::scene::{Scene, every_type, small_grid, volume};
use crate::common;

const GRID: usize = 7;

/// Patches of every kind, without symmetry.
fn cells() -> Vec<u32> {
    let cell = |at: usize| Cell {
        foreground: (at * 5) % 7 < 3,
        masked: at.is_multiple_of(3),
        flipped: at % 5 == 1,
        pinned: at % 11 == 4,
        padding: at % 13 == 6,
        heat: (!at.is_multiple_of(4)).then_some((at * 37 % 256) as u8),
    };
    (0..GRID * GRID).map(|at| cell(at).bits()).collect()
}

/// A grid turned by `angle` about the middle of the pane, patches `side` pixels wide.
fn turned(angle: f64, side: f64, show: PatchShow) -> Patches {
    let (sin, cos) = angle.sin_cos();
    let middle = GRID as f64 / 2.0;
    let row = |x: f64, y: f64| [x / side, y / side, 0.0, middle - (x * 80.0 + y * 60.0) / side].map(|v| v as f32);
    let rows = [row(-cos, sin), row(-sin, -cos)];
    Patches { rows, pixels: [side as f32; 2], grid: GRID as u32, show: show.bits(), ..Patches::default() }
}

fn every_part() -> Vec<PatchShow> {
    use PatchShow as P;
    let single = [P::GRID, P::CATEGORIES, P::MASKED, P::FLIPS, P::HEAT, P::BLANK, P::FRAME, P::PADDING, P::PINS];
    let all = single.iter().fold(P::NONE, |all, &part| all | part);
    single.into_iter().chain([P::CATEGORIES | P::MASKED | P::FLIPS | P::FRAME, all]).collect()
}

#[test]
fn every_part_of_the_layer_is_drawn() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(3)));
    let bare = scene.check(&screen, "bare");
    for show in every_part() {
        for (scale, side) in [(1.0, 14.0), (2.0, 17.3)] {
            scene.pixels_per_point = scale;
            scene.patches = Some((cells(), turned(0.0, side, show)));
            let drawn = scene.check(&screen, &format!("{show:?} at {scale}"));
            assert!(drawn != bare, "{show:?}");
        }
    }
}

#[test]
fn a_rotated_grid_is_drawn_at_odd_zooms() {
    let Some(screen) = common::offscreen() else { return };
    let grid = small_grid();
    let mut scene = Scene::of(volume(&grid, every_type(&grid).swap_remove(8)));
    let all = *every_part().last().unwrap();
    for (angle, side) in [(0.35, 12.7), (-1.2, 23.91), (2.9, 5.3), (0.0, 41.0)] {
        for scale in [1.0, 2.0] {
            scene.pixels_per_point = scale;
            scene.patches = Some((cells(), turned(angle, side, all)));
            scene.check(&screen, &format!("{angle} rad, {side} pixels, {scale}"));
        }
    }
}

#[test]
fn cells_that_are_not_a_square_grid_are_refused() {
    let Some(screen) = common::offscreen() else { return };
    let refused = screen.gpu().upload_cells(4, &[0; 15]);
    assert!(matches!(refused, Err(GpuError::Misfit { .. })), "{refused:?}");
    assert!(screen.gpu().upload_cells(0, &[]).is_err());
    let grid = small_grid();
    let base = screen.gpu().upload(&volume(&grid, every_type(&grid).swap_remove(0)), 0).unwrap();
    let patches = Some(PatchPaint { cells: Some(base), uniforms: Patches::default() });
    let why = SlicePaint { patches, ..SlicePaint::default() }.complete().unwrap_err().to_string();
    assert!(why.contains("patch grid"), "{why}");
}

// ---- the pane ----

/// Pixels along the side of the crop, and patches.
const SIZE: usize = 24;
const PATCHES: usize = 4;
const PANE: Rect = Rect { min: pos2(20.0, 10.0), max: pos2(340.0, 330.0) };

fn placement() -> crop::SlicePlacement {
    let matrix3 = DMat3::from_rotation_z(0.4) * DMat3::from_diagonal(DVec3::new(1.5, 1.5, 4.0));
    let world_from_crop = DAffine3 { matrix3, translation: DVec3::new(-20.0, -11.0, 33.0) };
    crop::SlicePlacement { size: SIZE, side: SIZE, world_from_crop, oriented: true }
}

fn show(screen: &Offscreen, pane: &PatchPane<'_>, scale: f32) -> ColorImage {
    let rect = Rect::from_min_max(pos2(0.0, 0.0), pos2(360.0, 340.0));
    let mut input = egui::RawInput { screen_rect: Some(rect), ..egui::RawInput::default() };
    input.viewports.entry(egui::ViewportId::ROOT).or_default().native_pixels_per_point = Some(scale);
    let ctx = egui::Context::default();
    amlp_viewer::theme::install(&ctx, amlp_viewer::theme::Theme::Dark);
    let mut output = ctx.run_ui(input, |ui| drop(pane.show(ui, PANE)));
    screen.take_textures(&mut output);
    screen.draw(&ctx, &output).unwrap()
}

/// Screen position of a world position, computed independently.
fn pixel_of(grid: &Grid, camera: Camera, convention: Convention, world: DVec3, scale: f32) -> (usize, usize) {
    let display = DisplayGrid::new(grid, PlaneMode::Native);
    // The slice is fitted into the pane with a 7 % margin.
    let room = PANE.shrink(0.07 * PANE.width());
    let size = DVec2::new(f64::from(room.width()), f64::from(room.height()));
    let map = PaneMap::new(&display, Plane::Axial, convention, camera, size);
    let at = map.place_of_index(display.display_from_world.transform_point3(world));
    let pos = (room.min + vec2(at.x as f32, at.y as f32)) * scale;
    (pos.x as usize, pos.y as usize)
}

/// World mm of a point in a patch, as shares of its sides.
fn in_patch(patch: usize, u: f64, v: f64) -> DVec3 {
    let q = (SIZE / PATCHES) as f64;
    let (i, j) = ((patch / PATCHES) as f64, (patch % PATCHES) as f64);
    placement().world_from_crop.transform_point3(DVec3::new((i + u) * q - 0.5, (j + v) * q - 0.5, 0.0))
}

#[test]
fn patches_of_a_preprocessed_slice_cover_its_pixels() {
    let Some(screen) = common::offscreen() else { return };
    // Each patch has a distinct grey: 8 times its number.
    let q = SIZE / PATCHES;
    let pixels: Vec<f32> = (0..SIZE * SIZE).map(|n| (8 * (n / SIZE / q * PATCHES + n % SIZE / q)) as f32).collect();
    let picture = screen.gpu().upload(&placement().volume(&pixels, None).unwrap(), 0).unwrap();
    let labels: Vec<u8> = (0..16).map(|patch| u8::from(patch == 3 || patch == 8)).collect();
    let cells: Vec<u32> = (0..16)
        .map(|patch| Cell { foreground: labels[patch] == 1, masked: patch == 5, ..Cell::default() }.bits())
        .collect();
    let cells = screen.gpu().upload_cells(PATCHES, &cells).unwrap();
    for (scale, convention) in [(1.0, Convention::Radiological), (2.0, Convention::Neurological)] {
        let pane = PatchPane {
            picture: Some(&picture),
            size: SIZE,
            grid: PATCHES,
            world_from_crop: placement().world_from_crop,
            labels: &labels,
            cells: Some(&cells),
            show: PatchShow::CATEGORIES | PatchShow::BLANK,
            window: [-255.0, 255.0],
            smooth: false,
            title: "Input",
            convention,
            ..PatchPane::default()
        };
        let drawn = show(&screen, &pane, scale);
        for (patch, &label) in labels.iter().enumerate() {
            let at = pixel_of(&placement().grid(), Camera::default(), convention, in_patch(patch, 0.3, 0.4), scale);
            let value = if patch == 5 { 0.0 } else { (8 * patch) as f32 };
            let grey = (value + 255.0) / 510.0;
            let tint = if label == 1 { colour::PATCH_LESION } else { colour::PATCH_BACKGROUND };
            let wanted = tint.map(|c| (grey + (f32::from(c) / 255.0 - grey) * 0.2) * 255.0);
            let [r, g, b, _] = drawn[at].to_array();
            let near = [r, g, b].iter().zip(wanted).all(|(&got, wanted)| (f32::from(got) - wanted).abs() <= 1.5);
            assert!(near, "patch {patch} at {at:?}, {convention:?}: {:?}, not {wanted:?}", drawn[at]);
        }
    }
}

#[test]
fn on_the_native_grid_patches_keep_their_world_position() {
    let Some(screen) = common::offscreen() else { return };
    // The scan: other voxels, stored backwards, and it ends within the crop's first row of patches.
    let turn = DMat3::from_rotation_z(0.4);
    let matrix3 = turn * DMat3::from_diagonal(DVec3::new(-0.7, 1.1, 4.0));
    let corner = placement().world_from_crop.translation + turn * DVec3::new(40.0, -4.0, -8.0);
    let grid = Grid::new([50, 40, 5], DAffine3 { matrix3, translation: corner });
    let scan = Volume::from_f32(grid.clone(), vec![100.0; grid.len()]);
    let picture = screen.gpu().upload(&scan, 0).unwrap();
    let labels: Vec<u8> = (0..16).map(|patch| u8::from(patch % 3 == 0)).collect();
    let cells: Vec<u32> =
        labels.iter().map(|&label| Cell { foreground: label == 1, ..Cell::default() }.bits()).collect();
    let cells = screen.gpu().upload_cells(PATCHES, &cells).unwrap();
    let camera = Camera { zoom: 1.1, centre_mm: DVec2::new(3.0, 1.0) };
    for slice in [2, 4] {
        let pane = PatchPane {
            picture: Some(&picture),
            native: Some(NativeSlice { grid: &grid, slice }),
            size: SIZE,
            grid: PATCHES,
            world_from_crop: placement().world_from_crop,
            labels: &labels,
            cells: Some(&cells),
            show: PatchShow::CATEGORIES | PatchShow::FRAME | PatchShow::PADDING,
            window: [0.0, 200.0],
            camera,
            ..PatchPane::default()
        };
        let drawn = show(&screen, &pane, 2.0);
        let on = |world| pixel_of(&grid, camera, Convention::Radiological, world, 2.0);
        let inside = |world: DVec3| {
            let v = grid.voxel_from_world().transform_point3(world);
            (0..2).all(|a| v[a] >= 0.0 && v[a] <= grid.shape[a] as f64 - 1.0)
        };
        let (mut seen, mut beyond) = (0, 0);
        for (patch, &label) in labels.iter().enumerate() {
            let world = in_patch(patch, 0.5, 0.6);
            let at = on(world);
            if !drawn_area(&drawn, at) {
                continue;
            }
            let grey = if inside(world) { 0.5 } else { 0.0 };
            let tint = if label == 1 { colour::PATCH_LESION } else { colour::PATCH_BACKGROUND };
            let wanted = tint.map(|c| (grey + (f32::from(c) / 255.0 - grey) * 0.2) * 255.0);
            let [r, g, b, _] = drawn[at].to_array();
            let near = [r, g, b].iter().zip(wanted).all(|(&got, wanted)| (f32::from(got) - wanted).abs() <= 1.5);
            if inside(world) {
                assert!(near, "patch {patch} in slice {slice}: {:?}, not {wanted:?}", drawn[at]);
                seen += 1;
            } else {
                beyond += usize::from(hatched(&drawn, at));
            }
        }
        assert!(seen >= 6, "{seen} patches seen");
        assert!(beyond > 0, "padding is hatched");
    }
}

fn drawn_area(picture: &ColorImage, (x, y): (usize, usize)) -> bool {
    let (left, right) = (2.0 * PANE.min.x, 2.0 * PANE.max.x);
    let (top, bottom) = (2.0 * PANE.min.y, 2.0 * PANE.max.y);
    let inside = |v: usize, low: f32, high: f32| v as f32 > low + 20.0 && (v as f32) < high - 20.0;
    picture.size[0] > x && inside(x, left, right) && inside(y, top, bottom)
}

/// Whether pixels near a place show padding lines.
fn hatched(picture: &ColorImage, (x, y): (usize, usize)) -> bool {
    let light: Vec<u8> = (0..14).map(|d| picture[(x - 7 + d, y)].r()).collect();
    light.iter().max() > light.iter().min().map(|v| v + 30).as_ref()
}
