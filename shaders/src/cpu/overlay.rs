//! CPU twin of the shader code that draws labels and their comparison with the reference.

use glam::{Vec2, Vec3, Vec4};

use super::image::{canonical, inside, texel};
use super::{Texture, Textures};
use crate::{ComparisonMode, LabelMode, Layers, Slice};

const TRUE_POSITIVE: u32 = 1;
const FALSE_POSITIVE: u32 = 2;
const FALSE_NEGATIVE: u32 = 3;
const WRONG_LABEL: u32 = 4;

const HATCH_POINTS: f32 = 6.0;
const DASH_POINTS: f32 = 7.0;
const GAP: f32 = 0.25;

/// The stored label at a pixel; 0 outside.
fn stored_label(slice: &Slice, texture: Option<&Texture<'_>>, layer: Layers, pixel: Vec2) -> u32 {
    let nearest = (canonical(&slice.base, pixel) + 0.5).floor();
    if slice.layers & layer as u32 == 0 || !inside(&slice.base, nearest) {
        return 0;
    }
    Textures::load(texture, texel(&slice.base, nearest.as_uvec3()).to_array())
}

/// The visible label at a pixel; 0 outside, for background and for hidden labels.
fn label_at(slice: &Slice, texture: Option<&Texture<'_>>, layer: Layers, pixel: Vec2) -> u32 {
    let label = stored_label(slice, texture, layer, pixel);
    let bit = if label < 256 { label as usize } else { 0 };
    let shown = slice.visible[bit / 128][bit / 32 % 4] >> (bit % 32) & 1;
    label * shown
}

/// The region that outlines follow: a label, or a class of the comparison; with several segmentations, their bits.
fn region_at(slice: &Slice, textures: &Textures<'_>, pixel: Vec2) -> u32 {
    if slice.comparing == ComparisonMode::Several as u32 {
        return stored_label(slice, textures.labels.as_ref(), Layers::Labels, pixel);
    }
    let label = label_at(slice, textures.labels.as_ref(), Layers::Labels, pixel);
    if slice.comparing == 0 {
        return label;
    }
    let reference = label_at(slice, textures.truth.as_ref(), Layers::Truth, pixel);
    match (label, reference) {
        (0, 0) => 0,
        (0, _) => FALSE_NEGATIVE,
        (_, 0) => FALSE_POSITIVE,
        (a, b) if a != b && slice.comparing == ComparisonMode::Labels as u32 => WRONG_LABEL,
        _ => TRUE_POSITIVE,
    }
}

/// Whether the region ends within the outline's width: horizontally, vertically, diagonally.
fn edges(slice: &Slice, textures: &Textures<'_>, pixel: Vec2, region: u32) -> [bool; 3] {
    let w = slice.outline_px;
    let other = |x: f32, y: f32| region_at(slice, textures, pixel + Vec2::new(x, y)) != region;
    [
        other(w, 0.0) || other(-w, 0.0),
        other(0.0, w) || other(0.0, -w),
        other(w, w) || other(w, -w) || other(-w, w) || other(-w, -w),
    ]
}

/// The region at a pixel; 0 where labels are switched off.
pub(super) fn drawn_region(slice: &Slice, textures: &Textures<'_>, pixel: Vec2) -> u32 {
    if slice.label_mode == LabelMode::Hidden as u32 { 0 } else { region_at(slice, textures, pixel) }
}

/// Whether the image is grey below this region: under a comparison.
pub(super) fn greys(slice: &Slice, region: u32) -> bool {
    let classes = slice.comparing != 0 && slice.comparing != ComparisonMode::Several as u32;
    classes && region != 0 && slice.label_opacity > 0.0
}

/// The brightness of a colour; grey is unchanged bit for bit.
pub(super) fn grey(rgb: Vec3) -> Vec3 {
    Vec3::splat(rgb.y + (rgb.x - rgb.y) * 0.3 + (rgb.z - rgb.y) * 0.1)
}

/// Colour and opacity of the overlay.
pub(super) fn colour(slice: &Slice, textures: &Textures<'_>, pixel: Vec2, region: u32) -> (Vec3, f32) {
    let Some(index) = region.checked_sub(1) else { return (Vec3::ZERO, 0.0) };
    if slice.comparing == ComparisonMode::Several as u32 {
        return outlines(slice, textures, pixel, region);
    }
    let (colour, alpha) = if slice.comparing == 0 {
        let fill = slice.label_mode & LabelMode::Fill as u32 != 0;
        let outline = slice.label_mode & LabelMode::Outline as u32 != 0;
        let mut alpha = if fill { slice.label_opacity } else { 0.0 };
        if outline && edges(slice, textures, pixel, region).contains(&true) {
            alpha = alpha.max(slice.outline_opacity);
        }
        (slice.palette[index as usize % slice.palette.len()], alpha)
    } else {
        (slice.comparison[index as usize], comparison_alpha(slice, textures, pixel, region))
    };
    let colour = Vec4::from_array(colour);
    (colour.truncate(), colour.w * alpha)
}

/// True positives solid, false positives hatched, false negatives a dashed outline, wrong labels chequered.
fn comparison_alpha(slice: &Slice, textures: &Textures<'_>, pixel: Vec2, class: u32) -> f32 {
    let at = pixel.max(Vec2::ZERO).as_uvec2();
    let period = |points: f32| (points * slice.pixels_per_point + 0.5).floor().max(2.0) as u32;
    match class {
        FALSE_POSITIVE => {
            let period = period(HATCH_POINTS);
            let gap = (at.x + at.y) % period * 2 >= period;
            if gap { slice.label_opacity * GAP } else { slice.label_opacity }
        }
        WRONG_LABEL => {
            let side = (HATCH_POINTS * slice.pixels_per_point * 0.5 + 0.5).floor().max(1.0) as u32;
            let gap = (at.x / side + at.y / side) % 2 == 1;
            if gap { slice.label_opacity * GAP } else { slice.label_opacity }
        }
        FALSE_NEGATIVE => {
            let edge @ [beside, above, _] = edges(slice, textures, pixel, class);
            if !edge.contains(&true) {
                return 0.0;
            }
            // Along the edge, so that edges of every direction are dashed.
            let along = if beside && !above { at.y } else { at.x };
            let period = period(DASH_POINTS);
            let dash = along % period * 7 < period * 4;
            slice.outline_opacity * if dash { 1.0 } else { GAP }
        }
        _ => slice.label_opacity,
    }
}

/// Outlines of several segmentations. Coinciding ones alternate as dashes.
fn outlines(slice: &Slice, textures: &Textures<'_>, pixel: Vec2, bits: u32) -> (Vec3, f32) {
    let w = slice.outline_px;
    let around = (0..9).map(|n| Vec2::new((n % 3) as f32 - 1.0, (n / 3) as f32 - 1.0));
    let everywhere = around.fold(bits, |bits, step| bits & region_at(slice, textures, pixel + step * w));
    let mut ending = bits & !everywhere;
    let count = ending.count_ones();
    if count == 0 {
        return (Vec3::ZERO, 0.0);
    }
    let at = pixel.max(Vec2::ZERO).as_uvec2();
    let dash = (DASH_POINTS * slice.pixels_per_point + 0.5).floor().max(1.0) as u32;
    for _ in 0..(at.x + at.y) / dash % count {
        ending &= ending - 1;
    }
    let colour = Vec4::from_array(slice.palette[ending.trailing_zeros() as usize % slice.palette.len()]);
    (colour.truncate(), colour.w * slice.outline_opacity)
}
