//! The canvas: rectangles, hatching, blending, PNG. Everything is clipped at the edges.

use super::Rgb;
use crate::{ErrorKind, Result};

/// A rectangle of pixels; x to the right, y down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: i64,
    /// Upper edge.
    pub y: i64,
    /// Width.
    pub w: i64,
    /// Height.
    pub h: i64,
}

impl Rect {
    /// A rectangle by its upper left corner and its size.
    pub fn new(x: i64, y: i64, w: i64, h: i64) -> Self {
        Self { x, y, w, h }
    }

    /// The rectangle shrunk by `by` pixels on every side.
    #[must_use]
    pub fn inset(self, by: i64) -> Self {
        Self { x: self.x + by, y: self.y + by, w: (self.w - 2 * by).max(0), h: (self.h - 2 * by).max(0) }
    }
}

/// An RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// A black canvas; a side of 0 counts as 1.
    pub fn new(width: usize, height: usize) -> Self {
        Self::filled(width, height, super::colour::BLACK)
    }

    /// A canvas of one colour.
    pub fn filled(width: usize, height: usize, colour: Rgb) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, pixels: vec![colour; width * height] }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The whole canvas.
    pub fn rect(&self) -> Rect {
        Rect::new(0, 0, self.width as i64, self.height as i64)
    }

    /// The colour at (x, y); `None` outside.
    pub fn get(&self, x: i64, y: i64) -> Option<Rgb> {
        self.at(x, y).map(|at| self.pixels[at])
    }

    fn at(&self, x: i64, y: i64) -> Option<usize> {
        let inside = (0..self.width as i64).contains(&x) && (0..self.height as i64).contains(&y);
        inside.then(|| y as usize * self.width + x as usize)
    }

    /// Blends `colour` into one pixel; alpha 0 keeps the pixel, 1 replaces it.
    pub fn blend(&mut self, x: i64, y: i64, colour: Rgb, alpha: f32) {
        if let Some(at) = self.at(x, y) {
            let alpha = alpha.clamp(0.0, 1.0);
            for (old, new) in self.pixels[at].iter_mut().zip(colour) {
                *old = (f32::from(*old) * (1.0 - alpha) + f32::from(new) * alpha).round() as u8;
            }
        }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, rect: Rect, colour: Rgb, alpha: f32) {
        self.paint(rect, colour, alpha, |_, _| true);
    }

    /// Draws diagonal lines, every `spacing` pixels. They start at the canvas's corner, so that the hatchings of neighbouring
    /// rectangles join.
    pub fn hatch(&mut self, rect: Rect, colour: Rgb, alpha: f32, spacing: i64) {
        self.paint(rect, colour, alpha, |x, y| on_hatch(x, y, spacing));
    }

    /// Draws a border of `width` pixels inside the rectangle.
    pub fn outline(&mut self, rect: Rect, colour: Rgb, alpha: f32, width: i64) {
        let inner = rect.inset(width);
        let inside = |at: i64, from: i64, size: i64| (from..from + size).contains(&at);
        self.paint(rect, colour, alpha, |x, y| !(inside(x, inner.x, inner.w) && inside(y, inner.y, inner.h)));
    }

    fn paint(&mut self, rect: Rect, colour: Rgb, alpha: f32, chosen: impl Fn(i64, i64) -> bool) {
        for y in rect.y.max(0)..(rect.y + rect.h).min(self.height as i64) {
            for x in rect.x.max(0)..(rect.x + rect.w).min(self.width as i64) {
                if chosen(x, y) {
                    self.blend(x, y, colour, alpha);
                }
            }
        }
    }

    /// Copies another canvas, its upper left corner at (x, y).
    pub fn blit(&mut self, other: &Canvas, x: i64, y: i64) {
        for (row, line) in other.pixels.chunks_exact(other.width).enumerate() {
            for (column, colour) in line.iter().enumerate() {
                if let Some(at) = self.at(x + column as i64, y + row as i64) {
                    self.pixels[at] = *colour;
                }
            }
        }
    }

    /// The canvas as a PNG file's bytes.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let failed = |e: png::EncodingError| ErrorKind::Compute { step: "writing a PNG".into(), why: e.to_string() };
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(self.pixels.as_flattened()).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
impl Canvas {
    /// Decodes an RGB PNG that [`Canvas::to_png`] wrote.
    pub(crate) fn from_png(bytes: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.color_type, frame.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        let (width, height) = (frame.width as usize, frame.height as usize);
        Self { width, height, pixels: pixels.as_chunks::<3>().0.to_vec() }
    }

    /// Number of pixels of a colour.
    pub(crate) fn count(&self, colour: Rgb) -> usize {
        self.pixels.iter().filter(|pixel| **pixel == colour).count()
    }
}

pub(super) fn on_hatch(x: i64, y: i64, spacing: i64) -> bool {
    (x + y).rem_euclid(spacing.max(2)) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_clipped_and_blended() {
        let mut canvas = Canvas::new(6, 4);
        canvas.fill(Rect::new(-5, -5, 100, 7), [200, 100, 0], 0.5);
        assert_eq!((canvas.get(0, 1), canvas.get(0, 2), canvas.get(6, 0)), (Some([100, 50, 0]), Some([0; 3]), None));
        canvas.outline(Rect::new(0, 0, 6, 4), [255; 3], 1.0, 1);
        assert_eq!((canvas.get(5, 3), canvas.get(1, 1)), (Some([255; 3]), Some([100, 50, 0])));
        let mut small = Canvas::filled(2, 2, [9; 3]);
        small.hatch(small.rect(), [7; 3], 1.0, 2);
        canvas.blit(&small, 5, 3);
        assert_eq!(canvas.get(5, 3), Some([7; 3]));
    }

    #[test]
    fn a_png_round_trips() {
        let mut canvas = Canvas::filled(3, 2, [1, 2, 3]);
        canvas.blend(2, 1, [250, 0, 9], 1.0);
        let read = Canvas::from_png(&canvas.to_png().unwrap());
        assert_eq!((read.width, read.height), (3, 2));
        assert_eq!((read.get(0, 0), read.get(2, 1)), (Some([1, 2, 3]), Some([250, 0, 9])));
    }
}
