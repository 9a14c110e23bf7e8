//! Normalised patches as the target of a masked-image method: see [`crate::loss::NormalisedPatches`].

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::{MaskedBatch, MaskedLoss, MaskedSlice, constant_error};
use crate::Result;
use crate::device::Compute;
use crate::loss::{NormalisedPatches, Variance, denormalise};
use crate::masking::indicator;
use crate::model::read_values;
use crate::patch::PatchGrid;

/// The masked patches of a slice, each normalised by its mean and standard deviation.
pub struct NormedTarget {
    /// Normalised pixels, `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// Weight of each pixel, `[S][S]`: equal on masked patches that are not flat, 0 elsewhere, with sum 1. All 0 if every
    /// masked patch is flat.
    pub weights: Vec<f32>,
    /// Fraction of flat patches among the masked, 0 to 1.
    pub flat_share: f64,
    grid: PatchGrid,
    variance: Variance,
}

impl NormedTarget {
    /// The target of a slice `[C][S][S]` whose `masked` patches, by index, are reconstructed.
    pub fn of(grid: &PatchGrid, pixels: &[f32], masked: &[usize], variance: Variance) -> Self {
        let channels = pixels.len() / (grid.size() * grid.size());
        let is_masked: Vec<bool> = indicator(grid.count(), masked);
        let patches = NormalisedPatches::of(grid, pixels, channels, variance);
        let area = (grid.side() * grid.side()) as f32;
        let weights: Vec<f32> = patches.weights(&is_masked).into_iter().map(|weight| weight / area).collect();
        let (weights, flat_share) = (grid.spread(&weights), patches.flat_share(&is_masked));
        Self { pixels: patches.pixels, weights, flat_share, grid: *grid, variance }
    }

    /// The first channel of an output, `[S][S]`, in the units of the slice `[C][S][S]`.
    ///
    /// # Errors
    /// Device errors.
    pub fn undo(&self, output: Vec<f32>, pixels: &[f32]) -> Result<Vec<f32>> {
        let (size, device) = (self.grid.size(), Compute::cpu().device);
        let image = |values: Vec<f32>| {
            let channels = values.len() / (size * size);
            Tensor::<4>::from_data(TensorData::new(values, [1, channels, size, size]), &device)
        };
        let picture = denormalise(image(output), image(pixels.to_vec()), self.grid.grid(), self.variance);
        read_values(picture, "reading a picture")
    }
}

/// The mean over slices of the squared error of an output on the masked patches that count.
pub fn normed_loss<T>(
    batch: &MaskedBatch<T>,
    range: Range<usize>,
    of: impl Fn(&T) -> &NormedTarget,
    output: Tensor<4>,
    device: &Device,
) -> MaskedLoss {
    let [slices, channels, size, _] = output.dims();
    let target = batch.maps(range.clone(), [channels, size], |target| &of(target).pixels, device);
    let weights = batch.maps(range.clone(), [1, size], |target| &of(target).weights, device);
    let error = (output.clone() - target).powi_scalar(2) * weights;
    let loss = error.sum() / (slices * channels) as f64;
    let flat: f64 = batch.slices(range).iter().map(|slice| of(&slice.target).flat_share).sum();
    let flat = Tensor::from_floats([(flat / slices.max(1) as f64) as f32], device);
    MaskedLoss { loss, name: "pred", constant: None, diagnostics: vec![("flat_share", flat)], output }
}

/// The loss of the best constant output under [`normed_loss`].
pub fn normed_constant_loss<T>(slices: &[MaskedSlice<T>], of: impl Fn(&T) -> &NormedTarget) -> f64 {
    constant_error(slices.iter().map(|slice| {
        let NormedTarget { pixels, weights, .. } = of(&slice.target);
        (pixels.as_slice(), weights.as_slice())
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::testing::sized;

    fn config() -> crate::config::Config {
        let mut config = sized(4);
        config.data.modality = vec!["pet".into()];
        config
    }

    /// Patch 0 varies and is masked, patch 1 is flat and masked, patch 2 is visible.
    #[test]
    fn errors_count_on_masked_patches_that_are_not_flat() {
        let (grid, device) = (PatchGrid::new(4, 2).unwrap(), Device::flex());
        let mut pixels: Vec<f32> = (0..16).map(|index| (index * index % 7) as f32).collect();
        [2, 3, 6, 7].into_iter().for_each(|index| pixels[index] = 5.0);
        let target = NormedTarget::of(&grid, &pixels, &[0, 1], Variance::Unbiased);
        assert!((target.flat_share - 0.5).abs() < 1e-12);
        let output: Vec<f32> =
            target.pixels.iter().zip(0..).map(|(v, index)| v + if index % 4 < 2 { 2.0 } else { 9.0 }).collect();
        assert!(
            target.undo(target.pixels.clone(), &pixels).unwrap().iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-4)
        );
        let constant =
            normed_constant_loss(&[MaskedSlice { pixels: pixels.clone(), mask: vec![0.0; 16], target }], |t| t);
        // Patches have a mean of 0 and a variance of (n - 1) / n about it.
        assert!((constant - 0.75).abs() < 1e-4, "{constant}");
        let target = NormedTarget::of(&grid, &pixels, &[0, 1], Variance::Unbiased);
        let batch = MaskedBatch::new(&config(), vec![MaskedSlice { pixels, mask: vec![0.0; 16], target }], constant);
        let output = Tensor::<4>::from_data(TensorData::new(output, [1, 1, 4, 4]), &device);
        let loss = normed_loss(&batch, 0..1, |target| target, output, &device);
        let value = crate::test_tensors::values(loss.loss)[0];
        assert!((value - 4.0).abs() < 1e-4, "{value}");
    }
}
