//! Reduces pictures to 8 bits and a limited size.

use serde::{Deserialize, Serialize};

/// What the picture of a pinned slice shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PictureKind {
    /// The network's output in the units of the slice: a reconstruction, or in fine-tuning a probability.
    #[default]
    Output,
    /// The views drawn of the slice in the epoch, side by side. They have no position in the patient.
    Views,
    /// Histograms of oriented gradients, one star per cell; predicted ones for masked cells.
    Gradients,
    /// The code index of each cell; predicted ones for masked cells.
    Codes,
}

/// The smallest and the largest of the finite values; 0 and 0 without any.
pub(super) fn range_of(values: &[f32]) -> [f32; 2] {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let [low, high] = finite.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
    if low <= high { [low, high] } else { [0.0; 2] }
}

/// Quantises values to bytes: 0 at the low end of the range and below, 255 at the high end and above. NaN becomes 0.
pub(super) fn quantise(values: &[f32], [low, high]: [f32; 2]) -> Vec<u8> {
    let scale = if high > low { 255.0 / f64::from(high - low) } else { 0.0 };
    // The cast clamps to the nearest byte, and converts NaN to 0.
    values.iter().map(|value| (f64::from(value - low) * scale).round() as u8).collect()
}

/// Decodes bytes to values.
pub(super) fn values(bytes: &[u8], [low, high]: [f32; 2]) -> Vec<f32> {
    bytes.iter().map(|byte| low + (high - low) * f32::from(*byte) / 255.0).collect()
}

/// A picture of `size` x `size` averaged to `side` x `side`; `side` divides `size`.
pub(super) fn average(pixels: &[f32], size: usize, side: usize) -> Vec<f32> {
    if side == size || side == 0 {
        return pixels.to_vec();
    }
    let q = size / side;
    let mut sums = vec![0.0f64; side * side];
    for (i, row) in pixels.chunks_exact(size).take(side * q).enumerate() {
        let line = &mut sums[i / q * side..][..side];
        for (sum, block) in line.iter_mut().zip(row.chunks_exact(q)) {
            *sum += block.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
    }
    sums.into_iter().map(|sum| (sum / (q * q) as f64) as f32).collect()
}

/// The largest divisor of `size` whose square is at most `max_pixels` pixels; at least 1.
pub(super) fn side_within(size: usize, max_pixels: usize) -> usize {
    (1..=size).rev().find(|side| size.is_multiple_of(*side) && side * side <= max_pixels).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantised_values_span_the_range() {
        let pixels = [-1.0, 0.0, 1.0, 3.0, f32::NAN, f32::INFINITY];
        assert_eq!(range_of(&pixels), [-1.0, 3.0]);
        assert_eq!(quantise(&pixels, [-1.0, 3.0]), [0, 64, 128, 255, 0, 255]);
        assert_eq!(values(&[0, 255], [-1.0, 3.0]), [-1.0, 3.0]);
        assert_eq!((range_of(&[f32::NAN]), quantise(&[5.0], [5.0, 5.0])), ([0.0; 2], vec![0]));
        let step = 4.0 / 255.0;
        for value in [-0.93f32, 0.5, 2.999] {
            let back = values(&quantise(&[value], [-1.0, 3.0]), [-1.0, 3.0])[0];
            assert!((back - value).abs() <= step / 2.0 + 1e-6, "{value} {back}");
        }
    }

    #[test]
    fn an_average_keeps_the_mean_of_every_block() {
        let pixels: Vec<f32> = (0..16u8).map(f32::from).collect();
        assert_eq!(average(&pixels, 4, 2), [2.5, 4.5, 10.5, 12.5]);
        assert_eq!(average(&pixels, 4, 4), pixels);
        assert_eq!(average(&pixels, 4, 1), [7.5]);
    }

    #[test]
    fn the_side_divides_the_size_and_fits_the_limit() {
        assert_eq!((side_within(160, 28_000), side_within(512, 16_384), side_within(240, 28_000)), (160, 128, 120));
        assert_eq!((side_within(512, 16_383), side_within(7, 10), side_within(4, 0)), (64, 1, 1));
    }
}
