//! Losses over the masked patches of a slice: reconstruction, attention (Eq. 6), consistency (Eq. 7).

use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use serde::{Deserialize, Serialize};

/// How the attention reconstruction loss (Eq. 6) enters the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// `mean(stop_gradient(rel_i) L_i)`: this project's reading, since the printed loss has no gradient.
    #[default]
    Weighted,
    /// `mean(n L_i / stop_gradient(sum L))`: only the denominator is held.
    Ratio,
    /// Eq. 6 as printed: its mean is 1 whatever the network does, so it adds no gradient.
    Literal,
    /// Left out.
    Off,
}

/// How the category consistency loss (Eq. 7) enters the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// Cross-entropy of the reconstructed patch's logit against the slice's k-means centres.
    #[default]
    Logit,
    /// Eq. 7 as printed, between hard labels: a constant without a gradient.
    Literal,
    /// Left out.
    Off,
}

/// Mean squared error of every patch, `[B, N]`: over the patch's pixels and the channels.
///
/// `output` and `input` are `[B, C, S, S]`, `grid` patches along a side divide `S`.
pub fn patch_errors(output: Tensor<4>, input: Tensor<4>, grid: usize) -> Tensor<2> {
    let difference = output - input;
    patch_means(difference.clone() * difference, grid)
}

/// Mean over the pixels of every patch and the channels: `[B, C, S, S]` to `[B, N]`.
fn patch_means(image: Tensor<4>, grid: usize) -> Tensor<2> {
    if !crate::compute::is_supported(&image) {
        return patch_means_by_axes(image, grid);
    }
    let [batch, _, height, width] = image.dims();
    let side = [height / grid, width / grid];
    let options = AvgPoolOptions::new(side).with_stride(side);
    avg_pool2d(image, options).mean_dim(1).reshape([batch, grid * grid])
}

/// The same without a pooling. With burn 0.22's fusion on wgpu the gradient of a pooled square came out wrong, up to ten times
/// the largest right one, unless something was read between the passes; the values were right.
fn patch_means_by_axes(image: Tensor<4>, grid: usize) -> Tensor<2> {
    let [batch, channels, height, width] = image.dims();
    let cut = image.reshape([batch, channels, grid, height / grid, grid, width / grid]);
    cut.mean_dim(5).mean_dim(3).mean_dim(1).reshape([batch, grid * grid])
}

/// `L_pred`: the mean error of the masked patches, over `count` masked patches in each slice.
///
/// `errors` and `masked` (0 or 1) are `[B, N]`.
pub fn reconstruction(errors: Tensor<2>, masked: Tensor<2>, count: usize) -> Tensor<1> {
    let [batch, _] = errors.dims();
    (errors * masked).sum() / (batch * count) as f64
}

/// `rel_i = n L_i / sum L` of Eq. 6 over the masked patches of each slice, `[B, N]`, 0 elsewhere, without gradient.
/// Where a slice's errors sum to less than 1e-12 every masked patch has 1.
pub fn relative(errors: Tensor<2>, masked: Tensor<2>, count: usize) -> Tensor<2> {
    let errors = errors.detach() * masked.clone();
    let sums = errors.clone().sum_dim(1);
    let degenerate = sums.clone().lower_elem(1e-12).expand(errors.dims());
    let relative = errors * count as f64 / sums.clamp_min(1e-12);
    relative.mask_where(degenerate, masked)
}

/// `L_rrl`, or nothing if it is left out. `relative` is [`relative`]'s result, `count` the masked patches a slice.
pub fn attention(
    reading: Attention,
    errors: Tensor<2>,
    relative: Tensor<2>,
    masked: Tensor<2>,
    count: usize,
) -> Option<Tensor<1>> {
    let [batch, _] = errors.dims();
    let patches = (batch * count) as f64;
    match reading {
        Attention::Off => None,
        Attention::Literal => Some(relative.sum() / patches),
        Attention::Weighted => Some((relative * errors * masked).sum() / patches),
        Attention::Ratio => {
            let errors = errors * masked;
            let sums = errors.clone().detach().sum_dim(1).clamp_min(1e-12);
            Some((errors * count as f64 / sums).sum() / patches)
        }
    }
}

/// What the consistency loss needs of each slice of a batch, made on the host.
pub struct ConsistencyTargets {
    /// `mu_f - mu_b` repeated over the slice, `[B, C, S, S]`; zero where a slice has no foreground.
    pub direction: Tensor<4>,
    /// `(||mu_f||^2 - ||mu_b||^2) / D`, `[B, 1]`.
    pub offset: Tensor<2>,
    /// `t_ccl`, `[B, 1]`, positive.
    pub temperature: Tensor<2>,
    /// `label_new`, `[B, N]`, 0 or 1.
    pub label: Tensor<2>,
    /// 1 where `label_new != label_ori`, `[B, N]`.
    pub flipped: Tensor<2>,
}

/// `z_i = (||y_i - mu_b||^2 - ||y_i - mu_f||^2) / (D t_ccl)` of every reconstructed patch, `[B, N]`.
///
/// Expanded, so that the quadratic terms cancel before rounding: `(2 y . (mu_f - mu_b) - |mu_f|^2 + |mu_b|^2) / (D t)`.
pub fn consistency_logits(output: Tensor<4>, targets: &ConsistencyTargets, grid: usize) -> Tensor<2> {
    let along = patch_means(output * targets.direction.clone(), grid);
    (along * 2.0 - targets.offset.clone()) / targets.temperature.clone()
}

/// `L_lcl`: binary cross-entropy of `logits` with the new labels over the flipped patches, divided by the batch's
/// masked patches; `xi` = 1e-10 in the literal reading. Nothing if it is left out.
pub fn consistency(
    reading: Consistency,
    logits: Tensor<2>,
    targets: &ConsistencyTargets,
    count: usize,
) -> Option<Tensor<1>> {
    let [batch, _] = logits.dims();
    let patches = (batch * count) as f64;
    match reading {
        Consistency::Off => None,
        Consistency::Literal => Some(targets.flipped.clone().sum() * -(1e-10f64.ln()) / patches),
        Consistency::Logit => {
            let label = targets.label.clone();
            // log_sigmoid never saturates: -log p = softplus(-z), -log(1 - p) = softplus(z).
            let one = log_sigmoid(logits.clone()) * label.clone();
            let zero = log_sigmoid(-logits) * (-label + 1.0);
            Some(-((one + zero) * targets.flipped.clone()).sum() / patches)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// A `[B, N]` tensor.
    fn rows(values: Vec<f32>, batch: usize, device: &Device) -> Tensor<2> {
        let columns = values.len() / batch;
        Tensor::from_data(TensorData::new(values, [batch, columns]), device)
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec::<f32>().unwrap()
    }

    fn image(values: Vec<f32>, size: usize, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, [1, 1, size, size]), device)
    }

    #[test]
    fn patches_are_numbered_row_by_row() {
        let device = Device::flex();
        let mut pixels = vec![0.0; 16];
        pixels[2 * 4 + 1] = 2.0; // row 2, column 1: patch 1 * 2 + 0
        let errors = patch_errors(image(pixels, 4, &device), Tensor::zeros([1, 1, 4, 4], &device), 2);
        assert_eq!(values(errors), [0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn means_of_patches_and_their_gradients_are_the_same_with_and_without_a_pooling() {
        let device = Device::flex().autodiff();
        let numbers: Vec<f32> = (0..2 * 3 * 12 * 12).map(|i| ((i * i * 7 + i * 13) % 101) as f32 / 50.0).collect();
        let image = || Tensor::<4>::from_data(TensorData::new(numbers.clone(), [2, 3, 12, 12]), &device).require_grad();
        let of = |means: fn(Tensor<4>, usize) -> Tensor<2>| {
            let image = image();
            let means = means(image.clone(), 4);
            let gradient = image.grad(&(means.clone() * means.clone()).sum().backward()).unwrap();
            (values(means), values(gradient))
        };
        let (pooled, cut) = (of(patch_means), of(patch_means_by_axes));
        let near = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&pooled.0, &cut.0) && near(&pooled.1, &cut.1));
    }

    #[test]
    fn relative_losses_have_mean_one_and_no_gradient() {
        let device = Device::flex().autodiff();
        let errors = rows(vec![1.0, 2.0, 3.0, 9.0], 1, &device).require_grad();
        let masked = rows(vec![1.0, 1.0, 1.0, 0.0], 1, &device);
        let rel = relative(errors.clone(), masked.clone(), 3);
        assert_eq!(values(rel.clone()), [0.5, 1.0, 1.5, 0.0]);
        let literal = attention(Attention::Literal, errors.clone(), rel.clone(), masked.clone(), 3).unwrap();
        assert_eq!(values(literal), [1.0]);

        let weighted = attention(Attention::Weighted, errors.clone(), rel, masked.clone(), 3).unwrap();
        assert!((values(weighted.clone())[0] - (0.5 + 2.0 + 4.5) / 3.0).abs() < 1e-6);
        let gradient = values(errors.grad(&weighted.backward()).unwrap());
        for (found, expected) in gradient.iter().zip([0.5 / 3.0, 1.0 / 3.0, 1.5 / 3.0, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn a_perfect_reconstruction_is_relative_one_everywhere() {
        let device = Device::flex();
        let masked = rows(vec![1.0, 0.0, 1.0, 0.0], 1, &device);
        assert_eq!(values(relative(rows(vec![0.0; 4], 1, &device), masked, 2)), [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn the_ratio_reading_pulls_on_every_masked_patch_alike() {
        let device = Device::flex().autodiff();
        let errors = rows(vec![1.0, 3.0], 1, &device).require_grad();
        let masked = rows(vec![1.0, 1.0], 1, &device);
        let rel = relative(errors.clone(), masked.clone(), 2);
        let ratio = attention(Attention::Ratio, errors.clone(), rel, masked, 2).unwrap();
        assert_eq!(values(ratio.clone()), [1.0]);
        assert_eq!(values(errors.grad(&ratio.backward()).unwrap()), [0.25, 0.25]);
    }

    /// One slice of 2x2 patches of 1 pixel: centres 1 (background) and 3 (foreground).
    fn targets(device: &Device) -> ConsistencyTargets {
        ConsistencyTargets {
            direction: Tensor::full([1, 1, 2, 2], 2.0, device),
            offset: rows(vec![8.0], 1, device),
            temperature: rows(vec![4.0], 1, device),
            label: rows(vec![1.0, 0.0, 1.0, 0.0], 1, device),
            flipped: rows(vec![1.0, 1.0, 0.0, 0.0], 1, device),
        }
    }

    #[test]
    fn consistency_logits_compare_the_distances_to_the_centres() {
        let device = Device::flex();
        let output = image(vec![1.0, 3.0, 2.0, 5.0], 2, &device);
        let expected: Vec<f32> =
            [1.0f32, 3.0, 2.0, 5.0].iter().map(|y| ((y - 1.0).powi(2) - (y - 3.0).powi(2)) / 4.0).collect();
        assert_eq!(values(consistency_logits(output, &targets(&device), 2)), expected);
    }

    #[test]
    fn consistency_counts_flipped_patches_only_and_never_saturates() {
        let device = Device::flex().autodiff();
        let logits = rows(vec![-200.0, 200.0, -200.0, 200.0], 1, &device).require_grad();
        let loss = consistency(Consistency::Logit, logits.clone(), &targets(&device), 4).unwrap();
        assert!((values(loss.clone())[0] - 100.0).abs() < 1e-3);
        assert_eq!(values(logits.grad(&loss.backward()).unwrap()), [-0.25, 0.25, 0.0, 0.0]);
        let literal = consistency(Consistency::Literal, logits, &targets(&device), 4).unwrap();
        assert!((values(literal)[0] - 23.026 * 2.0 / 4.0).abs() < 1e-3);
    }

    #[test]
    fn reconstruction_is_the_mean_over_masked_patches() {
        let device = Device::flex();
        let errors = rows(vec![1.0, 2.0, 3.0, 4.0], 2, &device);
        let masked = rows(vec![1.0, 0.0, 0.0, 1.0], 2, &device);
        assert_eq!(values(reconstruction(errors, masked, 1)), [2.5]);
    }
}
