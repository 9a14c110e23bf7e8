//! Tests of the patch layer against pixels computed by hand.

use super::{Texels, Texture, Textures, render};
use crate::{Cell, Image, Interpolation, Kind, PatchShow, Patches, Slice, colour};

/// Patches per row and column.
const GRID: u32 = 2;
/// Side of a patch in pixels.
const SIDE: usize = 8;
/// Side of the pane in pixels: a border of 4 around the grid.
const PANE: usize = 24;

/// The grid centred in the pane in radiological convention: R to the left, A up.
fn pane(show: PatchShow) -> Slice {
    let step = 1.0 / SIDE as f32;
    let end = (PANE - 4) as f32 * step;
    let patches = Patches {
        rows: [[-step, 0.0, 0.0, end], [0.0, -step, 0.0, end]],
        pixels: [SIDE as f32; 2],
        grid: GRID,
        show: show.bits(),
        ..Patches::default()
    };
    Slice { patches, ..Slice::default() }
}

fn draw(slice: &Slice, cells: [Cell; 4]) -> Vec<[u8; 4]> {
    let bits = cells.map(Cell::bits);
    let cells = Texture { shape: [GRID, GRID, 1], texels: Texels::U32(&bits) };
    render(slice, &Textures { cells: Some(cells), ..Textures::default() }, PANE as u32, PANE as u32)
}

fn at(pixels: &[[u8; 4]], x: usize, y: usize) -> [u8; 3] {
    let [r, g, b, _] = pixels[y * PANE + x];
    [r, g, b]
}

/// A colour over black.
fn faint(colour: [u8; 3], alpha: f32) -> [u8; 3] {
    colour.map(|v| (f32::from(v) / 255.0 * alpha * 255.0 + 0.5).floor() as u8)
}

/// The centre of a patch on the screen, away from any line.
fn middle(patch: usize) -> (usize, usize) {
    let along = |n: usize| PANE - 4 - SIDE * n - SIDE / 2;
    (along(patch / 2), along(patch % 2))
}

const BACKGROUND: Cell =
    Cell { foreground: false, masked: false, flipped: false, pinned: false, padding: false, heat: None };
const LESION: Cell = Cell { foreground: true, ..BACKGROUND };

#[test]
fn patches_are_drawn_at_their_anatomical_positions() {
    // Patch 1 (low i, high j) is left anterior, so the upper right of the screen.
    let cells = [BACKGROUND, LESION, BACKGROUND, BACKGROUND];
    let pixels = draw(&pane(PatchShow::CATEGORIES), cells);
    assert_eq!(middle(1), (16, 8));
    for (patch, cell) in cells.iter().enumerate() {
        let (x, y) = middle(patch);
        let wanted = if cell.foreground { colour::PATCH_LESION } else { colour::PATCH_BACKGROUND };
        assert_eq!(at(&pixels, x, y), faint(wanted, 0.2), "patch {patch}");
    }
    assert_eq!(at(&pixels, 3, 8), [0; 3], "nothing outside of the grid");
}

#[test]
fn outlines_are_one_point_wide_and_omitted_on_small_patches() {
    let mut slice = pane(PatchShow::CATEGORIES);
    let green = |slice: &Slice| -> String {
        let pixels = draw(slice, [LESION; 4]);
        let strength = |x: usize| match at(&pixels, x, 8)[1] {
            0 => '.',
            g if g < 50 => '-',
            _ => '#',
        };
        (0..PANE).map(strength).collect()
    };
    assert_eq!(green(&slice), "....#------##------#....");
    slice.pixels_per_point = 2.0;
    // Eight pixels are four points, too few for an outline.
    assert_eq!(green(&slice), "....----------------....");
}

#[test]
fn a_grid_without_cells_has_one_line_between_patches() {
    let pixels = draw(&pane(PatchShow::GRID), [BACKGROUND; 4]);
    let row: String = (0..PANE).map(|x| if at(&pixels, x, 8) == [0; 3] { '.' } else { '#' }).collect();
    assert_eq!(row, "...........#.......#....");
}

#[test]
fn masked_patches_are_hatched_and_blanked_to_the_value_0() {
    let masked = Cell { masked: true, ..BACKGROUND };
    let cells = [masked, BACKGROUND, BACKGROUND, BACKGROUND];
    let pixels = draw(&pane(PatchShow::MASKED), cells);
    let (x, y) = middle(0);
    let lines = (0..6).filter(|d| at(&pixels, x - 3 + d, y) == faint(colour::INK, 0.5)).count();
    assert_eq!(lines, 1, "one pixel in six");
    assert_eq!((0..6).filter(|d| at(&pixels, x - 3 + d, middle(1).1) != [0; 3]).count(), 0);

    let mut slice = pane(PatchShow::BLANK);
    let interpolation = Interpolation::Nearest as u32;
    slice.base = Image { kind: Kind::Unsigned as u32, window: [-10.0, 10.0], interpolation, ..Image::default() };
    slice.base.rows = [[0.0; 4]; 3];
    let bits = cells.map(Cell::bits);
    let textures = Textures {
        base: Some(Texture { shape: [1; 3], texels: Texels::U8(&[10]) }),
        cells: Some(Texture { shape: [GRID, GRID, 1], texels: Texels::U32(&bits) }),
        ..Textures::default()
    };
    let pixels = render(&slice, &textures, PANE as u32, PANE as u32);
    assert_eq!(at(&pixels, x, y), [128; 3], "0 lies in the middle of the window");
    assert_eq!(at(&pixels, middle(1).0, middle(1).1), [255; 3]);
    assert_eq!(at(&pixels, 1, 1), [255; 3], "the rest is as it was");
}

#[test]
fn flips_and_pins_are_two_points_wide_each() {
    let flipped = Cell { flipped: true, ..BACKGROUND };
    let pinned = Cell { pinned: true, ..BACKGROUND };
    let both = Cell { pinned: true, ..flipped };
    let pixels = draw(&pane(PatchShow::FLIPS | PatchShow::PINS), [flipped, pinned, both, BACKGROUND]);
    let row = |y: usize| -> String {
        let name = |x: usize| match at(&pixels, x, y) {
            colour::PATCH_FLIP => 'F',
            colour::INK => 'P',
            _ => '.',
        };
        (0..PANE).map(name).collect()
    };
    // Upper row: patches 3 and 1; lower row: patches 2 and 0.
    assert_eq!(row(8), "............PP....PP....");
    assert_eq!(row(16), "....FFPPPPFFFF....FF....");
}

#[test]
fn heat_replaces_the_fill_but_not_the_outline() {
    let hot = Cell { heat: Some(255), ..LESION };
    let show = PatchShow::HEAT | PatchShow::CATEGORIES;
    let pixels = draw(&pane(show), [hot, LESION, BACKGROUND, BACKGROUND]);
    let yellow = colour::map(crate::ColourMap::Viridis, 1.0).map(|v| (v * 0.6 * 255.0 + 0.5).floor() as u8);
    let (x, y) = middle(0);
    assert_eq!(at(&pixels, x, y), yellow);
    assert_eq!(at(&pixels, middle(1).0, middle(1).1), faint(colour::PATCH_LESION, 0.2), "no value, no heat");
    let [_, edge, _] = at(&pixels, 19, y);
    assert!(edge > 150, "the green outline stays: {edge}");
    let pixels = draw(&pane(PatchShow::CATEGORIES), [hot, LESION, BACKGROUND, BACKGROUND]);
    assert_eq!(at(&pixels, x, y), faint(colour::PATCH_LESION, 0.2));
}

#[test]
fn the_frame_is_outside_the_grid_and_padding_is_hatched() {
    let padding = Cell { padding: true, ..LESION };
    let show = PatchShow::FRAME | PatchShow::PADDING | PatchShow::CATEGORIES;
    let pixels = draw(&pane(show), [padding, BACKGROUND, BACKGROUND, BACKGROUND]);
    let frame = faint(colour::INK, 0.9);
    let row: Vec<usize> = (0..PANE).filter(|&x| at(&pixels, x, 8) == frame).collect();
    assert_eq!(row, [2, 3, 20, 21]);
    let (x, y) = middle(0);
    let line: Vec<[u8; 3]> = (0..6).map(|d| at(&pixels, x - 3 + d, y)).collect();
    assert_eq!(line.iter().filter(|&&p| p == faint(colour::PADDING, 0.45)).count(), 1);
    assert_eq!(line.iter().filter(|&&p| p == [0; 3]).count(), 5, "no fill");
}

#[test]
fn where_the_image_has_no_value_the_crop_is_padding() {
    let mut slice = pane(PatchShow::PADDING);
    // The image covers the lower half of the pane.
    slice.base = Image { kind: Kind::Unsigned as u32, shape: [1, 1, 1], ..Image::default() };
    slice.base.rows = [[0.0; 4], [0.0, -1.0 / 12.0, 0.0, 1.5], [0.0; 4]];
    let cells = [BACKGROUND.bits(); 4];
    let textures = Textures {
        base: Some(Texture { shape: [1; 3], texels: Texels::U8(&[0]) }),
        cells: Some(Texture { shape: [GRID, GRID, 1], texels: Texels::U32(&cells) }),
        ..Textures::default()
    };
    let pixels = render(&slice, &textures, PANE as u32, PANE as u32);
    let hatched = |y: usize| (6..18).filter(|&x| at(&pixels, x, y) != [0; 3]).count();
    assert_eq!([hatched(2), hatched(8), hatched(16)], [0, 2, 0]);
}

#[test]
fn no_selected_part_draws_nothing() {
    let busy = Cell { masked: true, flipped: true, pinned: true, heat: Some(200), ..LESION };
    assert!(draw(&pane(PatchShow::NONE), [busy; 4]).iter().all(|p| p[..3] == [0; 3]));
}
