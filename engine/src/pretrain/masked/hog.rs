//! Histograms of oriented gradients as in MaskFeat (Wei et al., 2022). The slice is padded by reflection. Sobel gradients gx
//! = left - right and gy = top - bottom vote with their magnitude for the bin floor(9 atan2(gx, gy) / pi) mod 9 of their cell
//! of 8 x 8 pixels. Each cell's histogram is scaled to length 1; there is no block normalisation.

use std::f64::consts::PI;

/// Number of orientations.
pub const BINS: usize = 9;
/// Side of a cell in pixels.
pub const CELL: usize = 8;
/// A cell whose histogram norm is below this fraction of the slice's mean has no orientation and is not counted.
const MIN_NORM: f64 = 1e-3;

/// The histograms of a slice.
pub struct Hog {
    /// `[C * 9][S / 8][S / 8]`: bins of each channel, each cell and channel of length 1, or 0 where there is no gradient.
    pub bins: Vec<f32>,
    /// True for cells that count, `[S / 8][S / 8]`.
    pub counts: Vec<bool>,
}

impl Hog {
    /// The histograms of a slice `[C][S][S]`; `size` is S, a multiple of 8.
    pub fn of(pixels: &[f32], size: usize) -> Self {
        let cells = size / CELL;
        let mut bins = Vec::with_capacity(pixels.len() / (size * size).max(1) * BINS * cells * cells);
        let mut norms = vec![0.0f64; cells * cells];
        for channel in pixels.chunks_exact(size * size) {
            let mut sums = votes(channel, size);
            for (cell, total) in norms.iter_mut().enumerate() {
                let norm = (0..BINS).map(|bin| sums[bin * cells * cells + cell].powi(2)).sum::<f64>().sqrt();
                *total += norm;
                (0..BINS).for_each(|bin| sums[bin * cells * cells + cell] /= norm.max(1e-12));
            }
            bins.extend(sums.into_iter().map(|sum| sum as f32));
        }
        let mean = norms.iter().sum::<f64>() / norms.len().max(1) as f64;
        Self { bins, counts: norms.iter().map(|norm| *norm > 0.0 && *norm >= MIN_NORM * mean).collect() }
    }
}

/// The magnitudes of every bin and cell, `[9][S / 8][S / 8]`.
fn votes(channel: &[f32], size: usize) -> Vec<f64> {
    let cells = size / CELL;
    let mut sums = vec![0.0f64; BINS * cells * cells];
    // Reflection leaves the edge pixel out: -1 is 1, S is S - 2.
    let reflected = |index: usize, step: isize| {
        let index = index as isize + step;
        let last = size as isize - 1;
        (if index < 0 { -index } else { index.min(2 * last - index) }).clamp(0, last) as usize
    };
    for row in 0..size {
        for column in 0..size {
            let value =
                |down: isize, right: isize| f64::from(channel[reflected(row, down) * size + reflected(column, right)]);
            let gx = value(-1, -1) - value(-1, 1) + 2.0 * (value(0, -1) - value(0, 1)) + value(1, -1) - value(1, 1);
            let gy = value(-1, -1) - value(1, -1) + 2.0 * (value(-1, 0) - value(1, 0)) + value(-1, 1) - value(1, 1);
            let bin = (BINS as f64 * gx.atan2(gy) / PI).floor().rem_euclid(BINS as f64) as usize;
            sums[(bin * cells + row / CELL) * cells + column / CELL] += gx.hypot(gy);
        }
    }
    sums
}

/// Draws histograms `[9][S / 8][S / 8]` as a picture `[S][S]`. Each cell has a line along the edge of each orientation, as
/// bright as its bin.
pub fn draw(bins: &[f32], size: usize) -> Vec<f32> {
    let cells = size / CELL;
    let mut picture = vec![0.0f32; size * size];
    for (index, pixel) in picture.iter_mut().enumerate() {
        let [row, column] = [index / size, index % size];
        let centre = |offset: usize| (offset % CELL) as f64 - (CELL as f64 - 1.0) / 2.0;
        let (down, right) = (centre(row), centre(column));
        for bin in 0..BINS {
            // In the middle of the bin: gx = m sin, gy = m cos, so the gradient runs along (cos, sin) in (rows, columns).
            let (sin, cos) = ((bin as f64 + 0.5) * PI / BINS as f64).sin_cos();
            if (down * cos + right * sin).abs() < 0.5 {
                let value = bins[(bin * cells + row / CELL) * cells + column / CELL];
                *pixel = pixel.max(value);
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(size: usize, value: impl Fn(f64, f64) -> f64) -> Vec<f32> {
        (0..size * size).map(|index| value((index / size) as f64, (index % size) as f64) as f32).collect()
    }

    /// A ramp that rises by 1 a pixel along a direction. Bins are numbered against scikit-image's, whose k is the angle from the
    /// columns over 20 degrees.
    #[test]
    fn a_ramp_votes_for_one_orientation_with_the_sobel_magnitude() {
        for k in 0..9usize {
            let angle = (5.0 + 20.0 * k as f64).to_radians();
            let ramp = slice(32, |row, column| row * angle.sin() + column * angle.cos());
            let sums = votes(&ramp, 32);
            // Cell (1, 1) of 4 x 4 is an inner one.
            let of = |bin: usize| sums[(bin * 4 + 1) * 4 + 1];
            let expected = (4 + 9 - k) % 9;
            assert!((of(expected) - 512.0).abs() < 1e-3, "k {k}: {:?}", (0..9).map(of).collect::<Vec<_>>());
            let hog = Hog::of(&ramp, 32);
            assert!(
                (hog.bins[(expected * 4 + 1) * 4 + 1] - 1.0).abs() < 1e-6 && hog.counts.iter().all(|counts| *counts)
            );
        }
    }

    #[test]
    fn the_histogram_of_a_pattern_matches_the_reference() {
        let pattern = slice(16, |i, j| (3.0 * i * i + 5.0 * i * j + 7.0 * j) % 11.0);
        let hog = Hog::of(&pattern, 16);
        let expected = [0.45068, 0.16788, 0.12653, 0.16245, 0.62673, 0.34371, 0.43498, 0.06366, 0.14871];
        for (bin, expected) in expected.into_iter().enumerate() {
            let value = hog.bins[bin * 4];
            assert!((value - expected).abs() < 1e-5, "bin {bin}: {value} {expected}");
        }
    }

    #[test]
    fn cells_without_a_gradient_do_not_count() {
        let edge = slice(32, |_, column| if column < 4.0 { 1.0 } else { 0.0 });
        let hog = Hog::of(&edge, 32);
        assert!((0..16).all(|cell| hog.counts[cell] == (cell % 4 == 0)), "{:?}", hog.counts);
        assert!(Hog::of(&[0.0; 64], 8).counts == [false] && Hog::of(&[0.0; 64], 8).bins.iter().all(|bin| *bin == 0.0));
    }

    /// gx is 0 for a ramp along the rows, so its bin is 0, and the line lies along the columns.
    #[test]
    fn a_cell_is_drawn_as_a_line_along_its_edge() {
        let mut bins = [0.0; 9];
        bins[0] = 1.0;
        let picture = draw(&bins, 8);
        let (along, across) =
            (picture[3 * 8..5 * 8].iter().sum::<f32>(), (0..8).map(|row| picture[row * 8]).sum::<f32>());
        assert!(along >= 4.0 && across <= 2.0, "{picture:?}");
    }
}
