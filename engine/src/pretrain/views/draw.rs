//! Random views of a slice: crop, rotation, flip, intensity changes.
//!
//! Crops and flips follow the original methods, at scales that suit slices. Hue, grey and solarisation do not apply to a single
//! channel. Intensities change on tissue only, because air has a fixed value at inference.

use rand::RngExt;

use crate::preprocess::SliceData;
use crate::seed::Stream;

/// Maximum number of crops tried until one has enough tissue.
const TRIES: usize = 10;
/// Minimum fraction of tissue in a crop.
const MIN_TISSUE: f64 = 0.25;
/// Largest rotation in degrees.
const ROTATION_DEG: f64 = 10.0;

/// Distribution that a view is drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewShape {
    /// Pixels along its side.
    pub side: usize,
    /// Smallest and largest fraction of the slice's area that it shows.
    pub area: [f64; 2],
    /// Largest change of contrast (fraction) and brightness (standard deviations).
    pub intensity: f64,
    /// Probability of a blur.
    pub blur: f64,
}

/// Position of a view in the slice.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Crop {
    /// Centre in pixels; the middle of the first pixel is at 0.5.
    centre: [f64; 2],
    /// Height and width in pixels of the slice.
    extent: [f64; 2],
    /// Sine and cosine of the rotation.
    turn: (f64, f64),
    /// Flips along i (R).
    flip: bool,
}

impl Crop {
    /// The whole slice, of `size` pixels per side.
    fn whole(size: f64) -> Self {
        Self { centre: [size / 2.0; 2], extent: [size; 2], turn: (0.0, 1.0), flip: false }
    }

    /// Draws a crop with a fraction U(`area`) of the area and log-aspect U(ln 3/4, ln 4/3), inside the slice before its rotation.
    fn draw(size: f64, area: [f64; 2], stream: &mut Stream) -> Self {
        let share: f64 = stream.random_range(area[0]..=area[1]);
        let max_log = (4.0f64 / 3.0).ln();
        let aspect = stream.random_range(-max_log..=max_log).exp();
        let extent = [share * aspect, share / aspect].map(|part| size * part.sqrt().min(1.0));
        let centre = extent.map(|extent| extent / 2.0 + (size - extent) * stream.random_range(0.0..=1.0));
        let turn = stream.random_range(-ROTATION_DEG..=ROTATION_DEG).to_radians().sin_cos();
        Self { centre, extent, turn, flip: stream.random_bool(0.5) }
    }

    /// Source position of pixel `(i, j)` of a view of `side` pixels, as fractional pixel indices.
    fn source(&self, i: usize, j: usize, side: usize) -> [f64; 2] {
        let along = |index: usize, extent: f64| ((index as f64 + 0.5) / side as f64 - 0.5) * extent;
        let [mut p, q] = [along(i, self.extent[0]), along(j, self.extent[1])];
        if self.flip {
            p = -p;
        }
        let (sin, cos) = self.turn;
        [cos * p - sin * q + self.centre[0] - 0.5, sin * p + cos * q + self.centre[1] - 0.5]
    }

    /// The source of every pixel, row by row.
    fn sources(&self, side: usize) -> Vec<[f64; 2]> {
        (0..side * side).map(|pixel| self.source(pixel / side, pixel % side, side)).collect()
    }
}

/// Draws a view of a slice of `size` pixels per side: `[C][side][side]`.
pub fn view(slice: &SliceData, size: usize, shape: ViewShape, stream: &mut Stream) -> Vec<f32> {
    let (mut sources, mut tissue) = (Vec::new(), Vec::new());
    for attempt in 0..=TRIES {
        let crop =
            if attempt == TRIES { Crop::whole(size as f64) } else { Crop::draw(size as f64, shape.area, stream) };
        sources = crop.sources(shape.side);
        tissue = sources.iter().map(|&point| nearest(&slice.tissue, size, point)).collect();
        let share = tissue.iter().filter(|tissue| **tissue).count() as f64 / tissue.len() as f64;
        if share >= MIN_TISSUE {
            break;
        }
    }
    let changes = Intensities::draw(shape, size, stream);
    let channel = |image: &[f32]| {
        let mut pixels: Vec<f32> = sources.iter().map(|&point| linear(image, size, point)).collect();
        changes.apply(&mut pixels, &tissue, shape.side);
        pixels
    };
    slice.pixels.chunks_exact(size * size).flat_map(channel).collect()
}

/// Intensity changes of tissue.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Intensities {
    /// Factor about the mean, and addend in standard deviations.
    contrast: Option<[f64; 2]>,
    /// Exponent on intensities scaled to 0 to 1. Mean and deviation are restored afterwards.
    gamma: Option<f64>,
    /// Standard deviation of a Gaussian blur in pixels.
    blur: Option<f64>,
}

impl Intensities {
    fn draw(shape: ViewShape, size: usize, stream: &mut Stream) -> Self {
        let j = shape.intensity;
        // Every number is drawn, even if it is not used, so that a view's draws do not depend on each other.
        let contrast = [stream.random_range(1.0 - j..=1.0 + j), stream.random_range(-j..=j)];
        let gamma = stream.random_range(0.7f64.ln()..=1.5f64.ln()).exp();
        let blur = stream.random_range(0.1..=2.0) * size as f64 / 224.0;
        let [has_contrast, has_gamma, has_blur] = [0.8, 0.3, shape.blur].map(|p| stream.random_bool(p));
        Self {
            contrast: has_contrast.then_some(contrast),
            gamma: has_gamma.then_some(gamma),
            blur: has_blur.then_some(blur),
        }
    }

    /// Changes the tissue of a channel `[side][side]`.
    fn apply(&self, pixels: &mut [f32], tissue: &[bool], side: usize) {
        if let (Some([factor, add]), Some([mean, std])) = (self.contrast, moments(pixels, tissue)) {
            change(pixels, tissue, |x| mean + factor * (x - mean) + add * std);
        }
        if let (Some(gamma), Some([mean, std])) = (self.gamma, moments(pixels, tissue)) {
            let of_tissue = || pixels.iter().zip(tissue).filter(|(_, tissue)| **tissue).map(|(x, _)| f64::from(*x));
            let (smallest, largest) = (of_tissue().fold(f64::MAX, f64::min), of_tissue().fold(f64::MIN, f64::max));
            let range = (largest - smallest).max(1e-6);
            change(pixels, tissue, |x| ((x - smallest) / range).clamp(0.0, 1.0).powf(gamma));
            let [new_mean, new_std] = moments(pixels, tissue).unwrap_or([0.0, 1.0]);
            change(pixels, tissue, |x| mean + (x - new_mean) * std / new_std.max(1e-6));
        }
        if let Some(sigma) = self.blur {
            let blurred = gaussian(pixels, side, sigma);
            for ((x, blurred), _) in pixels.iter_mut().zip(blurred).zip(tissue).filter(|(_, tissue)| **tissue) {
                *x = blurred;
            }
        }
    }
}

fn change(pixels: &mut [f32], tissue: &[bool], to: impl Fn(f64) -> f64) {
    for (x, _) in pixels.iter_mut().zip(tissue).filter(|(_, tissue)| **tissue) {
        *x = to(f64::from(*x)) as f32;
    }
}

/// Mean and standard deviation of tissue; `None` without any.
fn moments(pixels: &[f32], tissue: &[bool]) -> Option<[f64; 2]> {
    let of_tissue = || pixels.iter().zip(tissue).filter(|(_, tissue)| **tissue).map(|(x, _)| f64::from(*x));
    let n = of_tissue().count() as f64;
    let mean = of_tissue().sum::<f64>() / n;
    let variance = of_tissue().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (n > 0.0).then(|| [mean, variance.sqrt()])
}

/// A Gaussian blur of an image `[side][side]`, whose edge is repeated.
fn gaussian(image: &[f32], side: usize, sigma: f64) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as i64;
    let weight = |k: i64| (-0.5 * (k as f64 / sigma).powi(2)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    let kernel: Vec<f32> = (-radius..=radius).map(|k| (weight(k) / sum) as f32).collect();
    // Each pass blurs along rows and transposes.
    let pass = |image: &[f32]| {
        let mut out = vec![0.0; side * side];
        let mut padded = vec![0.0; side + kernel.len() - 1];
        for (i, row) in image.chunks_exact(side).enumerate() {
            let clamped = |k: usize| (k as i64 - radius).clamp(0, side as i64 - 1) as usize;
            padded.iter_mut().enumerate().for_each(|(k, x)| *x = row[clamped(k)]);
            for (j, window) in padded.windows(kernel.len()).enumerate() {
                out[j * side + i] = kernel.iter().zip(window).map(|(w, x)| w * x).sum();
            }
        }
        out
    };
    pass(&pass(image))
}

/// The value of an image `[size][size]` between its pixels; its edge is repeated.
fn linear(image: &[f32], size: usize, point: [f64; 2]) -> f32 {
    let [i, j] = point.map(|p| p.clamp(0.0, size as f64 - 1.0));
    let (i0, j0) = (i as usize, j as usize);
    let (i1, j1) = ((i0 + 1).min(size - 1), (j0 + 1).min(size - 1));
    let (u, v) = ((i - i0 as f64) as f32, (j - j0 as f64) as f32);
    let row = |i: usize| image[i * size + j0] * (1.0 - v) + image[i * size + j1] * v;
    row(i0) * (1.0 - u) + row(i1) * u
}

/// An image `[side][side]` at `to` pixels per side.
pub fn resized(image: &[f32], side: usize, to: usize) -> Vec<f32> {
    Crop::whole(side as f64).sources(to).iter().map(|&point| linear(image, side, point)).collect()
}

/// The nearest pixel; the edge is repeated.
fn nearest(image: &[bool], size: usize, point: [f64; 2]) -> bool {
    let [i, j] = point.map(|p| p.round().clamp(0.0, size as f64 - 1.0) as usize);
    image[i * size + j]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::seed::stream;

    const SIZE: usize = 32;

    /// A ramp along j on the tissue, a disc; air is 0.
    fn slice() -> SliceData {
        let centred = |index: usize| [index / SIZE, index % SIZE].map(|p| p as f32 - 15.5);
        let tissue: Vec<bool> =
            (0..SIZE * SIZE).map(|index| centred(index)[0].hypot(centred(index)[1]) < 12.0).collect();
        let pixels = tissue
            .iter()
            .enumerate()
            .map(|(i, tissue)| if *tissue { centred(i)[1] / 10.0 + 2.0 } else { 0.0 })
            .collect();
        SliceData { pixels, target: None, tissue }
    }

    fn shape() -> ViewShape {
        ViewShape { side: SIZE, area: [0.3, 1.0], intensity: 0.8, blur: 0.5 }
    }

    fn draw(seed: u64, shape: ViewShape) -> Vec<f32> {
        view(&slice(), SIZE, shape, &mut stream(seed, "test", &[]))
    }

    #[test]
    fn a_view_depends_on_its_random_stream_only() {
        assert_eq!(draw(1, shape()), draw(1, shape()));
        assert_ne!(draw(1, shape()), draw(2, shape()));
        let small = ViewShape { side: 16, area: [0.05, 0.14], ..shape() };
        assert_eq!(draw(3, small).len(), 256);
    }

    #[test]
    fn a_view_of_the_whole_slice_equals_the_slice() {
        let slice = slice();
        let pixels: Vec<f32> =
            Crop::whole(SIZE as f64).sources(SIZE).iter().map(|&index| linear(&slice.pixels, SIZE, index)).collect();
        assert_eq!(pixels, slice.pixels);
        // At half the size, each pixel lies between four.
        let half = Crop::whole(SIZE as f64).source(0, 1, SIZE / 2);
        assert!((half[0] - 0.5).abs() < 1e-12 && (half[1] - 2.5).abs() < 1e-12, "{half:?}");
    }

    #[test]
    fn a_flip_is_along_r_and_a_quarter_turn_is_exact() {
        let whole = Crop::whole(8.0);
        let close = |actual: [f64; 2], expected: [f64; 2]| {
            assert!(actual.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{actual:?}, not {expected:?}");
        };
        close(Crop { flip: true, ..whole }.source(0, 2, 8), [7.0, 2.0]);
        close(Crop { turn: (1.0, 0.0), ..whole }.source(1, 2, 8), [5.0, 1.0]);
    }

    #[test]
    fn crops_are_inside_the_slice_with_the_drawn_area_and_aspect() {
        let mut stream = stream(1, "test", &[]);
        let (mut smallest, mut largest, mut flips) = (1.0f64, 0.0f64, 0);
        for _ in 0..2000 {
            let crop = Crop::draw(100.0, [0.3, 1.0], &mut stream);
            for (centre, extent) in crop.centre.iter().zip(crop.extent) {
                assert!(centre - extent / 2.0 > -1e-9 && centre + extent / 2.0 < 100.0 + 1e-9, "{crop:?}");
            }
            let (area, aspect) = (crop.extent[0] * crop.extent[1] / 1e4, crop.extent[0] / crop.extent[1]);
            assert!((0.74..=1.34).contains(&aspect) && crop.turn.0.asin().to_degrees().abs() <= 10.001, "{crop:?}");
            (smallest, largest) = (smallest.min(area), largest.max(area));
            flips += usize::from(crop.flip);
        }
        assert!((0.3..0.31).contains(&smallest) && largest > 0.95, "{smallest} {largest}");
        assert!((900..1100).contains(&flips), "{flips}");
    }

    /// Small crops of a slice whose tissue lies in one corner.
    #[test]
    fn a_view_without_enough_tissue_becomes_the_whole_slice() {
        let corner = |side: usize| {
            let tissue: Vec<bool> = (0..SIZE * SIZE).map(|index| index / SIZE < side && index % SIZE < side).collect();
            SliceData { pixels: tissue.iter().map(|is| f32::from(u8::from(*is))).collect(), target: None, tissue }
        };
        let small = ViewShape { side: SIZE, area: [0.05, 0.14], intensity: 0.0, blur: 0.0 };
        for seed in 0..50 {
            let pixels = view(&corner(12), SIZE, small, &mut stream(seed, "test", &[]));
            let share = pixels.iter().filter(|x| **x > 0.5).count() as f64 / pixels.len() as f64;
            // Either a crop with tissue or all of it, 14 %.
            assert!(share > 0.23 || pixels == corner(12).pixels, "{seed}: {share}");
        }
        let nearly_air = view(&corner(3), SIZE, small, &mut stream(1, "test", &[]));
        assert_eq!(nearly_air, corner(3).pixels);
    }

    #[test]
    fn intensities_change_on_tissue_only() {
        let slice = slice();
        let apply = |changes: Intensities| {
            let mut pixels = slice.pixels.clone();
            changes.apply(&mut pixels, &slice.tissue, SIZE);
            assert!(pixels.iter().zip(&slice.tissue).all(|(x, is)| *is || *x == 0.0), "air changed: {changes:?}");
            pixels
        };
        let none = Intensities { contrast: None, gamma: None, blur: None };
        assert_eq!(apply(none), slice.pixels);
        let [mean, std] = moments(&slice.pixels, &slice.tissue).unwrap();
        let brighter = apply(Intensities { contrast: Some([0.5, 0.8]), ..none });
        let [new_mean, new_std] = moments(&brighter, &slice.tissue).unwrap();
        assert!((new_mean - mean - 0.8 * std).abs() < 1e-5 && (new_std - 0.5 * std).abs() < 1e-5);
        let changed = apply(Intensities { gamma: Some(1.5), ..none });
        let [new_mean, new_std] = moments(&changed, &slice.tissue).unwrap();
        assert!((new_mean - mean).abs() < 1e-5 && (new_std - std).abs() < 1e-5 && changed != slice.pixels);
        let blurred = apply(Intensities { blur: Some(1.5), ..none });
        assert!(moments(&blurred, &slice.tissue).unwrap()[0] < mean, "no air came in at the rim");
    }

    #[test]
    fn a_blur_keeps_a_constant_and_spreads_a_point() {
        let constant = gaussian(&[2.0; 64], 8, 1.0);
        assert!(constant.iter().all(|x| (x - 2.0).abs() < 1e-5));
        let mut point = vec![0.0; 15 * 15];
        point[7 * 15 + 7] = 1.0;
        let blurred = gaussian(&point, 15, 1.0);
        let expected = (0.398_942_3f32 / 0.999_73).powi(2);
        assert!((blurred[7 * 15 + 7] - expected).abs() < 1e-3 && (blurred.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((blurred[7 * 15 + 5] - blurred[5 * 15 + 7]).abs() < 1e-7);
    }
}
