//! Augmentation for fine-tuning: flips, small rotations and scalings, contrast and brightness. Shifts come from the slice
//! store, which keeps a margin around the crop.

use crate::config::LabelConfig;
use crate::parallel;
use crate::seed::Stream;
use rand::RngExt;

/// The augmentation of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Flips along i (R) and j (A).
    pub flip: [bool; 2],
    /// Rotation in radians.
    pub angle: f64,
    /// Magnification; 1 keeps the size.
    pub scale: f64,
    /// Factor on the intensities.
    pub contrast: f64,
    /// Added to the intensities of tissue, in standard deviations.
    pub brightness: f64,
}

impl Augmentation {
    /// Changes nothing.
    pub const NONE: Self = Self { flip: [false; 2], angle: 0.0, scale: 1.0, contrast: 1.0, brightness: 0.0 };

    /// Draws an augmentation within the ranges of `config`.
    pub fn draw(config: &LabelConfig, stream: &mut Stream) -> Self {
        let mut within = |limit: f64| if limit > 0.0 { stream.random_range(-limit..=limit) } else { 0.0 };
        let angle = within(config.rotate_deg).to_radians();
        let scale = 1.0 + within(config.scale);
        let contrast = 1.0 + within(config.intensity);
        let brightness = within(config.intensity);
        let flip = [0; 2].map(|_| config.flip && stream.random_bool(0.5));
        Self { flip, angle, scale, contrast, brightness }
    }

    /// Augments a slice: `pixels` `[C][S][S]` by linear interpolation with `fill[C]` outside the slice, and `target` and
    /// `tissue` `[S][S]` by the nearest pixel. Contrast and brightness change tissue only, because air has a fixed value at
    /// inference.
    pub fn apply(
        &self,
        pixels: &[f32],
        target: &[u8],
        tissue: &[bool],
        fill: &[f32],
        size: usize,
    ) -> (Vec<f32>, Vec<u8>) {
        let plane = size * size;
        let source = |at: usize| self.source(at / size, at % size, size);
        let is_tissue: Vec<bool> = (0..plane).map(|at| nearest(tissue, size, source(at))).collect();
        let mut out = vec![0.0; pixels.len()];
        for ((out, image), &fill) in out.chunks_exact_mut(plane).zip(pixels.chunks_exact(plane)).zip(fill) {
            parallel::change_values(out, |at, _| {
                let value = linear(image, size, source(at), fill);
                if !is_tissue[at] {
                    return value;
                }
                (f64::from(value) * self.contrast + self.brightness) as f32
            });
        }
        let labels = (0..plane).map(|at| nearest(target, size, source(at))).collect();
        (out, labels)
    }

    /// Source position of output pixel (i, j).
    fn source(&self, i: usize, j: usize, size: usize) -> [f64; 2] {
        let centre = (size as f64 - 1.0) / 2.0;
        let mut p = [i as f64 - centre, j as f64 - centre];
        for (p, flip) in p.iter_mut().zip(self.flip) {
            if flip {
                *p = -*p;
            }
        }
        let (sin, cos) = self.angle.sin_cos();
        let turned = [cos * p[0] + sin * p[1], cos * p[1] - sin * p[0]];
        turned.map(|p| p / self.scale + centre)
    }
}

fn linear(image: &[f32], size: usize, [i, j]: [f64; 2], fill: f32) -> f32 {
    let (i0, j0) = (i.floor(), j.floor());
    let (u, v) = ((i - i0) as f32, (j - j0) as f32);
    let at = |di: i64, dj: i64| pixel(image, size, i0 as i64 + di, j0 as i64 + dj).unwrap_or(fill);
    // Pixels outside the slice must not contribute, even with weight 0.
    let row = |di| if v == 0.0 { at(di, 0) } else { at(di, 0) * (1.0 - v) + at(di, 1) * v };
    if u == 0.0 { row(0) } else { row(0) * (1.0 - u) + row(1) * u }
}

fn nearest<T: Copy + Default>(image: &[T], size: usize, [i, j]: [f64; 2]) -> T {
    pixel(image, size, i.round() as i64, j.round() as i64).unwrap_or_default()
}

fn pixel<T: Copy>(image: &[T], size: usize, i: i64, j: i64) -> Option<T> {
    let (i, j) = (usize::try_from(i).ok()?, usize::try_from(j).ok()?);
    if i < size && j < size { image.get(i * size + j).copied() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::stream;

    fn picture() -> (Vec<f32>, Vec<u8>) {
        let pixels: Vec<f32> = (0..64).map(|v| v as f32).collect();
        let target = (0..64).map(|v| u8::from(v % 8 > 4)).collect();
        (pixels, target)
    }

    #[test]
    fn the_neutral_augmentation_changes_nothing() {
        let (pixels, target) = picture();
        assert_eq!(Augmentation::NONE.apply(&pixels, &target, &[true; 64], &[-1.0], 8), (pixels, target));
    }

    #[test]
    fn image_and_target_move_together() {
        let (_, target) = picture();
        let pixels: Vec<f32> = target.iter().map(|&t| t.into()).collect();
        for seed in 0..20 {
            let config = LabelConfig { intensity: 0.0, scale: 0.0, rotate_deg: 0.0, ..LabelConfig::default() };
            let drawn = Augmentation::draw(&config, &mut stream(seed, "test", &[]));
            let (image, moved) = drawn.apply(&pixels, &target, &[true; 64], &[0.0], 8);
            assert_eq!(image, moved.iter().map(|&t| f32::from(t)).collect::<Vec<_>>(), "{drawn:?}");
        }
    }

    #[test]
    fn a_quarter_turn_is_exact() {
        let (pixels, target) = picture();
        let turn = Augmentation { angle: std::f64::consts::FRAC_PI_2, ..Augmentation::NONE };
        let (image, _) = turn.apply(&pixels, &target, &[true; 64], &[0.0], 8);
        // Output (i, j) comes from source (j, size - 1 - i).
        assert!((image[8 + 2] - pixels[2 * 8 + 6]).abs() < 1e-4, "{}", image[8 + 2]);
    }

    #[test]
    fn pixels_from_outside_the_slice_are_fill() {
        let shrunk = Augmentation { scale: 0.5, ..Augmentation::NONE };
        let (image, target) = shrunk.apply(&[5.0; 64], &[1; 64], &[true; 64], &[-2.0], 8);
        assert!((image[0] + 2.0).abs() < 1e-6 && target[0] == 0);
        assert!((image[3 * 8 + 3] - 5.0).abs() < 1e-6 && target[3 * 8 + 3] == 1);
    }

    /// Air is 0 at inference, so it must be 0 in training too.
    #[test]
    fn contrast_and_brightness_leave_air_alone() {
        let tissue: Vec<bool> = (0..64).map(|at| at % 8 < 4).collect();
        let pixels: Vec<f32> = tissue.iter().map(|t| if *t { 2.0 } else { 0.0 }).collect();
        let brighter = Augmentation { contrast: 1.1, brightness: 0.1, ..Augmentation::NONE };
        let (image, _) = brighter.apply(&pixels, &[0; 64], &tissue, &[0.0], 8);
        for (at, value) in image.iter().enumerate() {
            let expected = if tissue[at] { 2.3 } else { 0.0 };
            assert!((value - expected).abs() < 1e-6, "pixel {at} is {value}, not {expected}");
        }
        // The area outside the scan in a scaled or rotated slice is air as well.
        let shrunk = Augmentation { scale: 0.5, ..brighter };
        let (image, _) = shrunk.apply(&pixels, &[0; 64], &tissue, &[-2.0], 8);
        assert!((image[0] + 2.0).abs() < 1e-6, "{}", image[0]);
    }
}
