//! CPU twin of the patch layer.

use glam::{Vec2, Vec3, Vec4};

use super::{Textures, over};
use crate::{ColourMap, PatchShow, Slice, colour};

const FOREGROUND: u32 = 1;
const MASKED: u32 = 2;
const FLIPPED: u32 = 4;
const HEAT: u32 = 8;
const PINNED: u32 = 16;
const PADDING: u32 = 32;

const COLOUR_FLIP: usize = 2;
const COLOUR_INK: usize = 3;
const COLOUR_PADDING: usize = 4;

const HATCH_POINTS: f32 = 6.0;
const GRID_ALPHA: f32 = 0.25;
const OUTLINE_ALPHA: f32 = 0.75;
const MASKED_ALPHA: f32 = 0.5;
const PADDING_ALPHA: f32 = 0.45;
const FRAME_ALPHA: f32 = 0.9;
const ROOM: f32 = 6.0;

fn shows(slice: &Slice, part: PatchShow) -> bool {
    slice.patches.show & part.bits() != 0
}

/// Width of a line in pixels: one point.
fn line_px(slice: &Slice) -> f32 {
    (slice.pixels_per_point + 0.5).floor().max(1.0)
}

/// Width in pixels of a line that each of two neighbours draws: together about one point.
fn thin_px(slice: &Slice) -> f32 {
    (slice.pixels_per_point * 0.5 + 0.5).floor().max(1.0)
}

/// Patch coordinates of a pane pixel, rounded to 1/4096 of a patch.
fn patch_at(slice: &Slice, pixel: Vec2) -> Vec2 {
    let row = |r: usize| {
        let row = slice.patches.rows[r];
        row[0] * pixel.x + row[1] * pixel.y + row[3]
    };
    (Vec2::new(row(0), row(1)) * 4096.0 + 0.5).floor() / 4096.0
}

fn on_grid(slice: &Slice, at: Vec2) -> bool {
    at.cmpge(Vec2::ZERO).all() && at.cmplt(Vec2::splat(slice.patches.grid as f32)).all()
}

fn cell_at(textures: &Textures<'_>, at: Vec2) -> u32 {
    let [i, j] = at.floor().to_array().map(|v| v as u32);
    Textures::load(textures.cells.as_ref(), [j, i, 0])
}

fn colour_of(slice: &Slice, which: usize) -> Vec3 {
    Vec4::from_array(slice.patches.colours[which]).truncate()
}

/// Hatching by lines of one point along x + y, or along x - y.
fn hatched(slice: &Slice, pixel: Vec2, falling: bool) -> bool {
    let at = pixel.max(Vec2::ZERO).as_uvec2();
    let period = (HATCH_POINTS * slice.pixels_per_point + 0.5).floor().max(2.0) as u32;
    let along = if falling { at.x + (period - at.y % period) } else { at.x + at.y };
    along % period < line_px(slice) as u32
}

/// The image as the network's input: masked patches have the value 0.
pub(super) fn blanked(slice: &Slice, textures: &Textures<'_>, below: Vec3, pixel: Vec2) -> Vec3 {
    let at = patch_at(slice, pixel);
    if !shows(slice, PatchShow::BLANK) || !on_grid(slice, at) || cell_at(textures, at) & MASKED == 0 {
        return below;
    }
    let chosen = ColourMap::ALL.into_iter().find(|&m| m as u32 == slice.base.colour_map).unwrap_or_default();
    Vec3::from_array(colour::map(chosen, colour::windowed(0.0, slice.base.window)))
}

/// Draws the patch layer over the image. `covered` is true where the image has a value.
pub(super) fn with_patches(slice: &Slice, textures: &Textures<'_>, below: Vec3, pixel: Vec2, covered: bool) -> Vec3 {
    if slice.patches.show == 0 {
        return below;
    }
    let at = patch_at(slice, pixel);
    if !on_grid(slice, at) {
        return framed(slice, below, at);
    }
    let cell = cell_at(textures, at);
    let outside = cell & PADDING != 0;
    let mut rgb = below;
    if shows(slice, PatchShow::PADDING) && (outside || !covered) && hatched(slice, pixel, true) {
        rgb = over(rgb, (colour_of(slice, COLOUR_PADDING), PADDING_ALPHA));
    }
    let category = colour_of(slice, usize::from(cell & FOREGROUND == 0));
    if shows(slice, PatchShow::HEAT) && cell & HEAT != 0 {
        let heat = Vec3::from_array(colour::map(ColourMap::Viridis, ((cell >> 8) & 255) as f32 / 255.0));
        rgb = over(rgb, (heat, slice.patches.heat_opacity));
    } else if shows(slice, PatchShow::CATEGORIES) && !outside {
        rgb = over(rgb, (category, slice.patches.fill));
    }
    if shows(slice, PatchShow::MASKED) && cell & MASKED != 0 && hatched(slice, pixel, false) {
        rgb = over(rgb, (colour_of(slice, COLOUR_INK), MASKED_ALPHA));
    }
    outlined(slice, rgb, at, cell, category)
}

/// Draws lines along the borders of a patch, from its edge inwards.
fn outlined(slice: &Slice, below: Vec3, at: Vec2, cell: u32, category: Vec3) -> Vec3 {
    let (line, thin) = (line_px(slice), thin_px(slice));
    let pixels = Vec2::from_array(slice.patches.pixels);
    let fraction = at - at.floor();
    let from_low = fraction * pixels;
    let edge = (fraction.min(1.0 - fraction) * pixels).min_element();
    let mut rgb = below;
    if shows(slice, PatchShow::GRID) && from_low.min_element() < thin {
        rgb = over(rgb, (colour_of(slice, COLOUR_INK), GRID_ALPHA));
    }
    let room = pixels.min_element() >= ROOM * line;
    if shows(slice, PatchShow::CATEGORIES) && cell & PADDING == 0 && room && edge < thin {
        rgb = over(rgb, (category, OUTLINE_ALPHA));
    }
    let mut drawn = 0.0;
    if shows(slice, PatchShow::FLIPS) && cell & FLIPPED != 0 {
        drawn = 2.0 * line;
        if edge < drawn {
            return colour_of(slice, COLOUR_FLIP);
        }
    }
    // Inside the line of a flip, so that neither hides the other.
    if shows(slice, PatchShow::PINS) && cell & PINNED != 0 && edge < drawn + 2.0 * line {
        return colour_of(slice, COLOUR_INK);
    }
    rgb
}

/// Draws a frame of two line widths around the grid.
fn framed(slice: &Slice, below: Vec3, at: Vec2) -> Vec3 {
    let beyond = (-at).max(at - slice.patches.grid as f32).max(Vec2::ZERO) * Vec2::from_array(slice.patches.pixels);
    if shows(slice, PatchShow::FRAME) && beyond.max_element() < 2.0 * line_px(slice) {
        return over(below, (colour_of(slice, COLOUR_INK), FRAME_ALPHA));
    }
    below
}
