//! Transforms of the network's input: flips, intensity changes, normalised patches. They are undone on the output, so that
//! losses and pictures refer to the original slice.

use burn::tensor::{Device, Tensor};
use rand::RngExt;

use crate::config::MethodConfig;
use crate::loss::{Moments, Variance};
use crate::patch::PatchGrid;
use crate::pretrain::tensors::{images, rows};
use crate::seed::stream;

/// The transforms of some slices on a device.
#[derive(Clone, Default)]
pub struct Appearance {
    /// Flips along R and A.
    pub flip: [bool; 2],
    /// Factor and addend of each pixel, `[B, 1, S, S]`.
    pub intensity: Option<[Tensor<4>; 2]>,
    /// Means and deviations of normalised patches.
    pub scale: Option<DeviceScale>,
}

/// Means and standard deviations of patches on a device.
#[derive(Clone)]
pub struct DeviceScale {
    /// Mean and standard deviation of each pixel's patch, `[B, 1, S, S]`.
    pixels: [Tensor<4>; 2],
    /// One over the variance of each patch, `[B, N]`.
    precision: Tensor<2>,
}

impl Appearance {
    /// The identity for a slice `[C][S][S]`, without augmentation.
    pub(crate) fn plain(method: &MethodConfig, grid: &PatchGrid, pixels: &[f32], device: &Device) -> Self {
        let channels = pixels.len() / (grid.size() * grid.size());
        let scale = method.loss.normalised.then(|| PatchScale::of(grid, pixels, channels));
        Self { scale: PatchScale::on(scale.iter(), grid, device), ..Self::default() }
    }

    /// The slices as the network sees them.
    pub fn of(&self, image: Tensor<4>) -> Tensor<4> {
        match self.intensity.clone() {
            Some([factor, addend]) => self.flipped(image * factor + addend),
            None => self.flipped(image),
        }
    }

    /// A network output in the original orientation and intensities.
    pub fn undo(&self, output: Tensor<4>) -> Tensor<4> {
        let output = self.flipped(output);
        match (&self.scale, self.intensity.clone()) {
            // A normalised patch does not depend on contrast and brightness.
            (Some(scale), _) => output * scale.pixels[1].clone() + scale.pixels[0].clone(),
            (None, Some([factor, addend])) => (output - addend) / factor,
            (None, None) => output,
        }
    }

    /// The errors of patches `[B, N]`, in units of the patch's variance where patches are normalised.
    pub fn errors(&self, errors: Tensor<2>) -> Tensor<2> {
        match &self.scale {
            Some(scale) => errors * scale.precision.clone(),
            None => errors,
        }
    }

    /// Flips `[B, C, S, S]`; its own inverse.
    pub fn flipped(&self, image: Tensor<4>) -> Tensor<4> {
        match self.flip {
            [false, false] => image,
            [true, false] => image.flip([2]),
            [false, true] => image.flip([3]),
            [true, true] => image.flip([2, 3]),
        }
    }
}

/// Factor and addend of each pixel of a slice, `[S][S]`.
pub(super) struct Intensity([Vec<f32>; 2]);

impl Intensity {
    /// Contrast and brightness of tissue by up to `strength`.
    pub fn draw(strength: f64, tissue: &[bool], seed: u64, key: &[u64]) -> Self {
        let mut draw = stream(seed, "pretrain-intensity", key);
        let [factor, addend] = [1.0, 0.0].map(|centre| (centre + draw.random_range(-strength..=strength)) as f32);
        let on_tissue = |inside: f32, outside: f32| tissue.iter().map(|t| if *t { inside } else { outside }).collect();
        Self([on_tissue(factor, 1.0), on_tissue(addend, 0.0)])
    }

    /// Factors and addends of a batch on a device; `None` for an empty batch.
    pub fn on<'a>(all: impl Iterator<Item = &'a Self>, size: usize, device: &Device) -> Option<[Tensor<4>; 2]> {
        let all: Vec<&Self> = all.collect();
        let pixels = |k: usize| images(all.iter().map(|slice| &slice.0[k]), 1, size, device);
        (!all.is_empty()).then(|| [pixels(0), pixels(1)])
    }
}

/// What the patches of a slice are normalised by, as in MAE.
pub(crate) struct PatchScale {
    /// Mean and standard deviation of each patch, `[N]`.
    moments: [Vec<f32>; 2],
    /// Flat patches, `[N]`, which are left out of the losses.
    pub flat: Vec<bool>,
}

impl PatchScale {
    /// Over the pixels and channels of each patch of `[C][S][S]`.
    pub fn of(grid: &PatchGrid, pixels: &[f32], channels: usize) -> Self {
        let patches = grid.patches(pixels, channels);
        let moments = patches.chunks(grid.dimension(channels).max(1)).map(|patch| Variance::Unbiased.moments(patch));
        let (mut means, mut deviations, mut flat) = (Vec::new(), Vec::new(), Vec::new());
        for Moments { mean, deviation, is_flat } in moments {
            means.push(mean as f32);
            deviations.push(deviation as f32);
            flat.push(is_flat);
        }
        Self { moments: [means, deviations], flat }
    }

    /// The slice `[C][S][S]` without each patch's mean and in units of its deviation.
    pub fn normalised(&self, grid: &PatchGrid, pixels: &[f32]) -> Vec<f32> {
        let [means, deviations] = self.moments.each_ref().map(|values| grid.spread(values));
        let scales = means.iter().zip(&deviations).cycle();
        pixels.iter().zip(scales).map(|(pixel, (mean, deviation))| (pixel - mean) / deviation).collect()
    }

    /// Means and deviations of a batch on a device; `None` for an empty batch.
    pub fn on<'a>(all: impl Iterator<Item = &'a Self>, grid: &PatchGrid, device: &Device) -> Option<DeviceScale> {
        let all: Vec<&Self> = all.collect();
        let spread = |k: usize| {
            let pixels: Vec<Vec<f32>> = all.iter().map(|slice| grid.spread(&slice.moments[k])).collect();
            images(pixels.iter(), 1, grid.size(), device)
        };
        let precision: Vec<Vec<f32>> = all
            .iter()
            .map(|slice| slice.moments[1].iter().map(|deviation| 1.0 / (deviation * deviation)).collect())
            .collect();
        let scale = || DeviceScale { pixels: [spread(0), spread(1)], precision: rows(precision.iter(), device) };
        (!all.is_empty()).then(scale)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::test_tensors::{image, values};

    #[test]
    fn undo_inverts_the_input_transforms() {
        let device = Device::flex();
        let pixels: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let tissue: Vec<bool> = (0..16).map(|index| index % 4 < 2).collect();
        let drawn = Intensity::draw(0.5, &tissue, 3, &[1, 2]);
        let appearance = Appearance {
            flip: [true, false],
            intensity: Intensity::on(std::iter::once(&drawn), 4, &device),
            scale: None,
        };
        let input = values(appearance.of(image(pixels.clone(), 4, &device)));
        let (factor, addend) = (drawn.0[0][0], drawn.0[1][0]);
        assert!((factor - 1.0).abs() > 1e-3 && (0.5..=1.5).contains(&factor), "{factor}");
        for (index, input) in input.iter().enumerate() {
            let source = (3 - index / 4) * 4 + index % 4;
            let expected = if tissue[source] { pixels[source] * factor + addend } else { pixels[source] };
            assert!((input - expected).abs() < 1e-5, "{index}: {input} {expected}");
        }
        let back = values(appearance.undo(image(input, 4, &device)));
        assert!(back.iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-4), "{back:?}");
    }

    /// The numbers of MAE's `norm_pix_loss`, whose variance is unbiased.
    #[test]
    fn patches_are_normalised_as_in_mae() {
        let grid = PatchGrid::new(2, 1).unwrap();
        let pixels = [1.0, 2.0, 3.0, 6.0];
        let normalised = PatchScale::of(&grid, &pixels, 1).normalised(&grid, &pixels);
        for (value, expected) in normalised.iter().zip([-0.92582, -0.46291, 0.0, 1.38873]) {
            assert!((value - expected).abs() < 1e-5, "{normalised:?}");
        }
    }

    #[test]
    fn errors_of_normalised_patches_are_in_units_of_their_variance() {
        let device = Device::flex();
        let grid = PatchGrid::new(4, 2).unwrap();
        // Patch 0 has mean 2 and squared errors of 1; patch 3 mean 0 and squared errors of 100.
        let mut pixels = vec![0.0f32; 16];
        for (index, value) in [(0, 1.0), (1, 3.0), (4, 3.0), (5, 1.0), (10, 10.0), (11, -10.0), (14, 10.0), (15, -10.0)]
        {
            pixels[index] = value;
        }
        let scale = PatchScale::of(&grid, &pixels, 1);
        assert_eq!(scale.flat, [false, true, true, false]);
        let appearance =
            Appearance { scale: PatchScale::on(std::iter::once(&scale), &grid, &device), ..Appearance::default() };
        // The variance of four pixels is a third of the sum of their squares, so the mean square of an output of means is 3/4 of
        // it.
        let means = appearance.undo(Tensor::zeros([1, 1, 4, 4], &device));
        let errors = crate::loss::patch_errors(means, image(pixels, 4, &device), 2);
        let errors = values(appearance.errors(errors));
        for (error, expected) in errors.iter().zip([0.75, 0.0, 0.0, 0.75]) {
            assert!((error - expected).abs() < 1e-3, "{errors:?}");
        }
    }
}
