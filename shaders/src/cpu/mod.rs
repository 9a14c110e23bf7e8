//! CPU twins of the shaders: the same arithmetic in the same order, in 32-bit floats.

mod image;
mod overlay;
#[cfg(test)]
mod patch_tests;
mod patches;
#[cfg(test)]
mod tests;

use glam::{Vec2, Vec3};

use crate::{Kind, Slice};

/// Texels, first axis fastest. [`crate::Kind`] defines their meaning.
#[derive(Clone, Copy, Debug)]
pub enum Texels<'a> {
    /// 8 bits per voxel.
    U8(&'a [u8]),
    /// 16 bits per voxel.
    U16(&'a [u16]),
    /// 32 bits per voxel.
    U32(&'a [u32]),
}

/// A 3-D texture.
#[derive(Clone, Copy, Debug)]
pub struct Texture<'a> {
    /// Texels along each axis.
    pub shape: [u32; 3],
    /// `shape[0] * shape[1] * shape[2]` texels.
    pub texels: Texels<'a>,
}

impl Texture<'_> {
    /// A texel; 0 out of bounds, as on a GPU.
    fn load(&self, at: [u32; 3]) -> u32 {
        if (0..3).any(|a| at[a] >= self.shape[a]) {
            return 0;
        }
        let [x, y, z] = at.map(|v| v as usize);
        let at = x + self.shape[0] as usize * (y + self.shape[1] as usize * z);
        let loaded = match self.texels {
            Texels::U8(v) => v.get(at).map(|&t| u32::from(t)),
            Texels::U16(v) => v.get(at).map(|&t| u32::from(t)),
            Texels::U32(v) => v.get(at).copied(),
        };
        loaded.unwrap_or(0)
    }
}

/// The textures of a [`Slice`]. A missing one reads as 0, like the GPU's placeholder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Textures<'a> {
    /// Texture of [`Slice::base`].
    pub base: Option<Texture<'a>>,
    /// Texture of [`Slice::fused`].
    pub fused: Option<Texture<'a>>,
    /// Labels on the base's grid.
    pub labels: Option<Texture<'a>>,
    /// Reference labels on the base's grid.
    pub truth: Option<Texture<'a>>,
    /// Texture of [`Slice::patches`]: one texel per patch, patches along A fastest. See [`crate::Cell`].
    pub cells: Option<Texture<'a>>,
}

impl Textures<'_> {
    fn load(texture: Option<&Texture<'_>>, at: [u32; 3]) -> u32 {
        texture.map_or(0, |t| t.load(at))
    }
}

/// Draws a pane of `width` x `height` pixels, row by row from the top left. [`Slice::origin`] and [`Slice::srgb_target`] are
/// ignored.
pub fn render(slice: &Slice, textures: &Textures<'_>, width: u32, height: u32) -> Vec<[u8; 4]> {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| Vec2::new(x as f32 + 0.5, y as f32 + 0.5)));
    pixels.map(|pixel| bytes(colour(slice, textures, pixel))).collect()
}

fn colour(slice: &Slice, textures: &Textures<'_>, pixel: Vec2) -> Vec3 {
    let base = image::colour(&slice.base, textures.base.as_ref(), pixel);
    let fused = image::colour(&slice.fused, textures.fused.as_ref(), pixel);
    let rgb = over(Vec3::ZERO, base);
    let rgb = over(rgb, fused);
    let rgb = patches::blanked(slice, textures, rgb, pixel);
    let region = overlay::drawn_region(slice, textures, pixel);
    let rgb = if overlay::greys(slice, region) { overlay::grey(rgb) } else { rgb };
    let rgb = over(rgb, overlay::colour(slice, textures, pixel, region));
    let covered = slice.base.kind == Kind::None as u32 || base.1 > 0.0;
    patches::with_patches(slice, textures, rgb, pixel, covered)
}

fn over(below: Vec3, (above, alpha): (Vec3, f32)) -> Vec3 {
    below + (above - below) * alpha
}

/// Rounds colours to bytes, as a render target does.
fn bytes(rgb: Vec3) -> [u8; 4] {
    let [r, g, b] = rgb.to_array().map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5).floor() as u8);
    [r, g, b, 255]
}
