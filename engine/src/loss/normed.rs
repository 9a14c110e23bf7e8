//! Normalised patches as a reconstruction target: each patch minus its mean, over its standard deviation.

use burn::tensor::Tensor;

use super::patch_features;
use crate::patch::PatchGrid;

/// A patch with a smaller variance is flat. Normalised, it would be noise.
const FLAT: f64 = 1e-4;

/// How the variance of a patch of n pixels is estimated, and the epsilon added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// Divided by n - 1, epsilon 1e-6: MAE and its successors.
    Unbiased,
    /// Divided by n, epsilon 1e-5: `BootMAE`.
    Biased,
}

impl Variance {
    /// Mean and standard deviation of a patch.
    pub(crate) fn moments(self, patch: &[f32]) -> Moments {
        let n = patch.len() as f64;
        let mean = patch.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let squares = patch.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        let (degrees, epsilon) = self.terms(n);
        let variance = squares / degrees;
        Moments { mean, deviation: (variance + epsilon).sqrt(), is_flat: variance < FLAT }
    }

    /// Divisor of the sum of `n` squares, and the epsilon that is added to the variance.
    fn terms(self, n: f64) -> (f64, f64) {
        match self {
            Self::Unbiased => ((n - 1.0).max(1.0), 1e-6),
            Self::Biased => (n, 1e-5),
        }
    }
}

/// What a patch is normalised by.
pub(crate) struct Moments {
    pub mean: f64,
    /// With the epsilon, so never 0.
    pub deviation: f64,
    /// The patch is left out of the loss.
    pub is_flat: bool,
}

/// The normalised patches of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalisedPatches {
    /// `[C][S][S]`, each patch as (x - mean) / SD over its pixels and channels.
    pub pixels: Vec<f32>,
    /// Flat patches, `[N]`, which are left out of the loss.
    pub flat: Vec<bool>,
}

impl NormalisedPatches {
    /// Normalises the patches of a slice `[C][S][S]`.
    pub fn of(grid: &PatchGrid, pixels: &[f32], channels: usize, variance: Variance) -> Self {
        let mut patches = grid.patches(pixels, channels);
        let normalise = |patch: &mut [f32]| {
            let Moments { mean, deviation, is_flat } = variance.moments(patch);
            patch.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / deviation) as f32);
            is_flat
        };
        let flat = patches.chunks_mut(grid.dimension(channels)).map(normalise).collect();
        Self { pixels: grid.assemble(&patches, channels), flat }
    }

    /// Weights of the patches in the loss, `[N]`: 1 over the number of `masked` patches that are not flat; 0 elsewhere.
    pub fn weights(&self, masked: &[bool]) -> Vec<f32> {
        let counts: Vec<bool> = masked.iter().zip(&self.flat).map(|(masked, flat)| *masked && !flat).collect();
        let n = counts.iter().filter(|counts| **counts).count().max(1) as f32;
        counts.into_iter().map(|counts| if counts { 1.0 / n } else { 0.0 }).collect()
    }

    /// Fraction of flat patches among the masked, 0 to 1.
    pub fn flat_share(&self, masked: &[bool]) -> f64 {
        let (all, flat) = masked.iter().zip(&self.flat).fold((0usize, 0usize), |(all, flat), (is_masked, is_flat)| {
            (all + usize::from(*is_masked), flat + usize::from(*is_masked && *is_flat))
        });
        flat as f64 / all.max(1) as f64
    }
}

/// Mean over the slices of the weighted sum of each slice's `errors`; both are `[B, N]`.
pub fn weighted_mean(errors: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    let [batch, _] = errors.dims();
    (errors * weights).sum() / batch as f64
}

/// Converts a prediction of the normalised patches of `image`, both `[B, C, S, S]`, to the image's units; `grid` patches per
/// side.
pub fn denormalise(prediction: Tensor<4>, image: Tensor<4>, grid: usize, variance: Variance) -> Tensor<4> {
    let [batch, channels, size, _] = image.dims();
    let side = size / grid;
    let mean_of = |image: Tensor<4>| {
        let cells: Tensor<6> = patch_features(image, grid).mean_dim(1).reshape([batch, 1, grid, 1, grid, 1]);
        cells.repeat(&[1, 1, 1, side, 1, side]).reshape([batch, 1, size, size])
    };
    let mean = mean_of(image.clone());
    let centred = image - mean.clone();
    let n = (channels * side * side) as f64;
    let (degrees, epsilon) = variance.terms(n);
    prediction * (mean_of(centred.clone() * centred) * (n / degrees) + epsilon).sqrt() + mean
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::test_tensors::{rows, values};

    #[test]
    fn a_patch_is_normalised_by_its_mean_and_standard_deviation() {
        let grid = PatchGrid::new(2, 1).unwrap();
        let of = |variance| NormalisedPatches::of(&grid, &[1.0, 2.0, 3.0, 6.0], 1, variance).pixels;
        for (variance, expected) in [
            (Variance::Unbiased, [-0.92582, -0.46291, 0.0, 1.38873]),
            (Variance::Biased, [-1.069_04, -0.534_52, 0.0, 1.603_57]),
        ] {
            for (actual, expected) in of(variance).iter().zip(expected) {
                assert!((actual - expected).abs() < 1e-5f32, "{variance:?}: {actual}, not {expected}");
            }
        }
    }

    #[test]
    fn denormalise_inverts_the_normalisation() {
        let (device, grid) = (Device::flex(), PatchGrid::new(4, 2).unwrap());
        let pixels: Vec<f32> = (0..32).map(|v| (v * v % 13) as f32 - 4.0).collect();
        let tensor = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [1, 2, 4, 4]), &device);
        for variance in [Variance::Unbiased, Variance::Biased] {
            let patches = NormalisedPatches::of(&grid, &pixels, 2, variance);
            let back = values(denormalise(tensor(&patches.pixels), tensor(&pixels), 2, variance));
            assert!(back.iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-4), "{variance:?}: {back:?}");
        }
    }

    #[test]
    fn flat_patches_have_no_weight_and_slices_have_equal_weight() {
        let grid = PatchGrid::new(4, 2).unwrap();
        let mut pixels = vec![0.0f32; 16];
        // Patch 0 varies, patch 1 hardly, patches 2 and 3 vary.
        for (index, value) in [(0, 1.0), (2, 0.019), (8, 1.0), (10, -1.0)] {
            pixels[index] = value;
        }
        let patches = NormalisedPatches::of(&grid, &pixels, 1, Variance::Unbiased);
        assert_eq!(patches.flat, [false, true, false, false]);
        let (three, one) = ([true, true, false, true], [false, true, false, false]);
        assert_eq!(patches.weights(&three), [0.5, 0.0, 0.0, 0.5]);
        assert_eq!(patches.weights(&one), [0.0; 4]);
        assert!((patches.flat_share(&three) - 1.0 / 3.0).abs() < 1e-12);
        let device = Device::flex();
        let weights = rows([patches.weights(&three), vec![0.0, 0.0, 1.0, 0.0]].concat(), 2, &device);
        let errors = rows(vec![1.0, 100.0, 100.0, 2.0, 100.0, 100.0, 5.0, 100.0], 2, &device);
        assert_eq!(values(weighted_mean(errors, weights)), [3.25]);
    }
}
