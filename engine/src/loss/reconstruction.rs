//! Reconstruction errors: of every patch, and over the masked ones.

use burn::tensor::Tensor;

/// Mean squared error of every patch over its pixels and channels, `[B, N]`.
///
/// `output` and `input` are `[B, C, S, S]`; `grid`, the number of patches per side, divides `S`.
pub fn patch_errors(output: Tensor<4>, input: Tensor<4>, grid: usize) -> Tensor<2> {
    let difference = output - input;
    patch_means(difference.clone() * difference, grid)
}

/// Mean over the pixels of every patch and the channels: `[B, C, S, S]` to `[B, N]`.
pub(crate) fn patch_means(image: Tensor<4>, grid: usize) -> Tensor<2> {
    let [batch, _, _, _] = image.dims();
    patch_features(image, grid).mean_dim(1).reshape([batch, grid * grid])
}

/// Mean over the pixels of every patch, channel by channel: `[B, C, S, S]` to `[B, C, grid, grid]`.
///
/// Means over axes, not a pooling: with burn 0.22's fusion on wgpu, the gradient of a pooled square is wrong, by up to ten times
/// the largest correct value, unless something is read between the passes.
pub(crate) fn patch_features(image: Tensor<4>, grid: usize) -> Tensor<4> {
    let [batch, channels, height, width] = image.dims();
    // Channels last, as the CPU stores the network's blocks, and rows first, whose mean adds whole rows of memory.
    let rows = image.permute([0, 2, 3, 1]).reshape([batch * grid, height / grid, width * channels]).mean_dim(1);
    let patches = rows.reshape([batch * grid, grid, width / grid, channels]).mean_dim(2);
    patches.reshape([batch, grid, grid, channels]).permute([0, 3, 1, 2])
}

/// `L_pred`: the mean error of the masked patches, `count` in each slice. `errors` and `masked` (0 or 1) are `[B, N]`.
pub fn reconstruction(errors: Tensor<2>, masked: Tensor<2>, count: usize) -> Tensor<1> {
    let [batch, _] = errors.dims();
    (errors * masked).sum() / (batch * count) as f64
}

/// Mean absolute error over the masked pixels and all channels, `pixels` masked pixels in each slice. `output` and `image` are
/// `[B, C, S, S]`, `pixel_mask` (0 or 1) is `[B, 1, S, S]`.
pub fn masked_l1(output: Tensor<4>, image: Tensor<4>, pixel_mask: Tensor<4>, pixels: usize) -> Tensor<1> {
    let [batch, channels, _, _] = output.dims();
    ((output - image).abs() * pixel_mask).sum() / (batch * channels * pixels) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::module::avg_pool2d;
    use burn::tensor::ops::AvgPoolOptions;
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::test_tensors::{image, rows, values};

    #[test]
    fn patches_are_numbered_row_by_row() {
        let device = Device::flex();
        let mut pixels = vec![0.0; 16];
        pixels[2 * 4 + 1] = 2.0; // row 2, column 1: patch 1 * 2 + 0
        let errors = patch_errors(image(pixels, 4, &device), Tensor::zeros([1, 1, 4, 4], &device), 2);
        assert_eq!(values(errors), [0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn patch_features_are_an_average_pooling_with_its_gradient() {
        let device = Device::flex().autodiff();
        let numbers: Vec<f32> = (0..2 * 3 * 12 * 12).map(|i| ((i * i * 7 + i * 13) % 101) as f32 / 50.0).collect();
        let image = || Tensor::<4>::from_data(TensorData::new(numbers.clone(), [2, 3, 12, 12]), &device).require_grad();
        let of = |means: fn(Tensor<4>, usize) -> Tensor<4>| {
            let image = image();
            let means = means(image.clone(), 4);
            let gradient = image.grad(&(means.clone() * means.clone()).sum().backward()).unwrap();
            (values(means), values(gradient))
        };
        let pool = |image, grid| avg_pool2d(image, AvgPoolOptions::new([12 / grid; 2]).with_stride([12 / grid; 2]));
        let (ours, pooled) = (of(patch_features), of(pool));
        let near = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&ours.0, &pooled.0) && near(&ours.1, &pooled.1));
    }

    #[test]
    fn reconstruction_is_the_mean_over_masked_patches() {
        let device = Device::flex();
        let errors = rows(vec![1.0, 2.0, 3.0, 4.0], 2, &device);
        let masked = rows(vec![1.0, 0.0, 0.0, 1.0], 2, &device);
        assert_eq!(values(reconstruction(errors, masked, 1)), [2.5]);
    }

    /// Errors of 1 and -3 on the masked pixels, of 100 elsewhere.
    #[test]
    fn masked_l1_counts_masked_pixels_only() {
        let device = Device::flex();
        let image = image(vec![0.0; 4], 2, &device);
        let output = Tensor::<4>::from_data(TensorData::new(vec![1.0, 100.0, 100.0, -3.0], [1, 1, 2, 2]), &device);
        let mask = Tensor::<4>::from_data(TensorData::new(vec![1.0, 0.0, 0.0, 1.0], [1, 1, 2, 2]), &device);
        assert_eq!(values(masked_l1(output, image, mask, 2)), [2.0]);
    }
}
