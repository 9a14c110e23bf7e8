//! CPU twin of the shader code that samples and colours an image.

use glam::{BVec3, UVec3, Vec2, Vec3, Vec4};

use super::{Texture, Textures};
use crate::{ColourMap, Image, Interpolation, Kind, colour};

/// An image with a transparent lower end is fully opaque beyond 1 / FADE of its window.
const FADE: f32 = 4.0;

/// Canonical voxel index of a pane pixel, rounded to 1/512 of a voxel.
pub(super) fn canonical(image: &Image, pixel: Vec2) -> Vec3 {
    let row = |r: usize| image.rows[r][0] * pixel.x + image.rows[r][1] * pixel.y + image.rows[r][3];
    (Vec3::new(row(0), row(1), row(2)) * 512.0 + 0.5).floor() / 512.0
}

pub(super) fn inside(image: &Image, nearest: Vec3) -> bool {
    nearest.cmpge(Vec3::ZERO).all() && nearest.cmplt(UVec3::from_array(image.shape).as_vec3()).all()
}

/// Permutes a vector from canonical axes to texture axes.
fn reorder(v: UVec3, order: [u32; 3]) -> UVec3 {
    UVec3::from_array(order.map(|a| v.to_array()[a as usize % 3]))
}

pub(super) fn texel(image: &Image, voxel: UVec3) -> UVec3 {
    let shift = UVec3::from_array(image.shift);
    let at = reorder(voxel, image.order) >> shift;
    let last = reorder(UVec3::from_array(image.shape), image.order).saturating_sub(UVec3::ONE) >> shift;
    UVec3::select(mask(image.flip), last.wrapping_sub(at), at)
}

fn mask(bits: u32) -> BVec3 {
    BVec3::new(bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)
}

fn is_finite(bits: u32) -> bool {
    bits & 0x7f80_0000 != 0x7f80_0000
}

fn stored(kind: u32, bits: u32) -> Vec4 {
    let scalar = |value: f32| Vec4::new(value, 0.0, 0.0, 1.0);
    match kind {
        k if k == Kind::Signed8 as u32 => scalar(f32::from(bits as u8 as i8)),
        k if k == Kind::Signed16 as u32 => scalar(f32::from(bits as u16 as i16)),
        k if k == Kind::Float as u32 => scalar(f32::from_bits(bits)),
        k if k == Kind::Rgba as u32 => Vec4::from_array(bits.to_le_bytes().map(f32::from)) / 255.0,
        _ => scalar(bits as f32),
    }
}

/// The stored value at a canonical position, if there is one.
fn sample_at(image: &Image, texture: Option<&Texture<'_>>, position: Vec3) -> Option<Vec4> {
    let nearest = (position + 0.5).floor();
    if image.kind == Kind::None as u32 || !inside(image, nearest) {
        return None;
    }
    let linear = image.interpolation == Interpolation::Linear as u32;
    let low = if linear { position.floor() } else { nearest };
    let fraction = if linear { position - low } else { Vec3::ZERO };
    let end = UVec3::from_array(image.shape).as_vec3() - 1.0;
    let first = texel(image, low.max(Vec3::ZERO).as_uvec3());
    let second = texel(image, (low + 1.0).min(end).as_uvec3());

    let (mut sum, mut weight, mut missing) = (Vec4::ZERO, 0.0_f32, false);
    for corner in 0..8 {
        let parts = Vec3::select(mask(corner), fraction, 1.0 - fraction);
        let part = parts.x * parts.y * parts.z;
        if part == 0.0 {
            continue;
        }
        let bits = UVec3::new(corner, corner >> 1, corner >> 2) & 1;
        let at = UVec3::select(reorder(bits, image.order).cmpne(UVec3::ZERO), second, first);
        let loaded = Textures::load(texture, at.to_array());
        if image.kind == Kind::Float as u32 && !is_finite(loaded) {
            missing = true;
            continue;
        }
        sum += stored(image.kind, loaded) * part;
        weight += part;
    }
    match (missing, weight < 0.5) {
        (false, _) => Some(sum),
        (true, true) => None,
        (true, false) => Some(sum / weight),
    }
}

/// Colour and opacity of an image at a pixel; opacity 0 where it has no value.
pub(super) fn colour(image: &Image, texture: Option<&Texture<'_>>, pixel: Vec2) -> (Vec3, f32) {
    const NOTHING: (Vec3, f32) = (Vec3::ZERO, 0.0);
    let Some(sampled) = sample_at(image, texture, canonical(image, pixel)) else { return NOTHING };
    if image.kind == Kind::Rgba as u32 {
        return (sampled.truncate(), sampled.w * image.opacity);
    }
    let value = image.scale[0] * sampled.x + image.scale[1];
    let hidden = image.transparent_low != 0 && value <= image.window[0];
    if hidden || !is_finite(value.to_bits()) {
        return NOTHING;
    }
    let map = ColourMap::ALL.into_iter().find(|&m| m as u32 == image.colour_map).unwrap_or_default();
    let share = colour::windowed(value, image.window);
    let fading = if image.transparent_low == 0 { 1.0 } else { (share * FADE).min(1.0) };
    (Vec3::from_array(colour::map(map, share)), image.opacity * fading)
}
