//! A U-Net's encoder with two fusion paths over its levels: one to the finest, one to the coarsest (Wang et al., 2023).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::cell_head::space_to_depth;
use super::init::Initializer;
use super::layers::{Kernels, Normalisation};
use super::masked::apply_mask;
use super::record::number_parameters;
use super::{Norm, Precision, UNet, UNetConfig};

/// Levels that the paths join, from the finest: those at S to S/8.
pub const LEVELS: usize = 4;

/// The encoder, a mask token, and the fusion paths.
#[derive(Module, Debug)]
pub struct FusionNet {
    unet: UNet,
    mask_token: Param<Tensor<1>>,
    /// From level 3 to level 0.
    upsample: Vec<ConvTranspose2d>,
    up: Vec<JoinLayer>,
    /// From level 0 to level 3.
    down: Vec<JoinLayer>,
    high: Conv2d,
    low: Conv2d,
}

/// Joins a path and a level: a 1x1 convolution to the level's channels, norm, `ReLU`.
#[derive(Module, Debug)]
struct JoinLayer {
    conv: Conv2d,
    norm: Normalisation,
}

impl JoinLayer {
    fn new(input: usize, output: usize, norm: Norm, init: &mut Initializer, device: &Device) -> Self {
        Self { conv: init.conv(input, output, 1), norm: Normalisation::new(output, norm, device) }
    }

    fn forward(&self, path: Tensor<4>, level: Tensor<4>, kernels: Kernels) -> Tensor<4> {
        let both = kernels.enter(Tensor::cat(vec![path, level], 1));
        relu(self.norm.forward(kernels.leave(kernels.convolve(&self.conv, both))))
    }
}

impl FusionNet {
    /// Random weights drawn from `seed`; the mask token starts at 0. The depth must be at least [`LEVELS`].
    pub fn init(config: &UNetConfig, seed: u64, device: &Device) -> Self {
        let mut init = Initializer::named(seed, "fusion-head", device);
        let channels = |level: usize| config.width << level;
        let upsample = (1..LEVELS).rev().map(|l| init.conv_transpose(channels(l), channels(l - 1), 2)).collect();
        let up =
            (0..LEVELS - 1).rev().map(|l| JoinLayer::new(2 * channels(l), channels(l), config.norm, &mut init, device));
        let up = up.collect();
        // The four pixels of a cell of the level before have twice the channels of this one.
        let down =
            (1..LEVELS).map(|l| JoinLayer::new(3 * channels(l), channels(l), config.norm, &mut init, device)).collect();
        let high = init.conv(channels(0), config.out_channels, 1);
        let low = init.conv(channels(LEVELS - 1), config.out_channels, 1);
        let mask_token = Param::from_tensor(Tensor::zeros([1], device));
        number_parameters(Self { unet: config.init(seed, device), mask_token, upsample, up, down, high, low })
    }

    /// Trained parameters besides the U-Net's.
    pub fn parameters(config: &UNetConfig) -> usize {
        let channels = |level: usize| config.width << level;
        let norm = if config.norm == Norm::None { 0 } else { 2 };
        let joint = |inputs: usize, level: usize| (inputs * channels(level) + 1 + norm) * channels(level);
        let up = |l: usize| 4 * channels(l) * channels(l + 1) + channels(l) + joint(2, l);
        let heads = config.out_channels * (channels(0) + channels(LEVELS - 1) + 2);
        1 + (0..LEVELS - 1).map(up).sum::<usize>() + (1..LEVELS).map(|l| joint(3, l)).sum::<usize>() + heads
    }

    /// The masked image, with the mask token on masked pixels.
    pub fn mask(&self, image: Tensor<4>, pixel_mask: Tensor<4>) -> Tensor<4> {
        apply_mask(image, pixel_mask, self.mask_token.val().reshape([1, 1, 1, 1]))
    }

    /// The image `[B, C, S, S]`, of which the loss uses the high frequencies, and the image `[B, C, S/4, S/4]`, of which it
    /// uses the low frequencies.
    pub fn forward(&self, masked: Tensor<4>, precision: Precision) -> [Tensor<4>; 2] {
        let kernels = Kernels::new(precision, &masked);
        let levels = &self.unet.encode(masked, precision).skips[..LEVELS];
        let mut up = levels[LEVELS - 1].clone();
        for ((transposed, joint), level) in self.upsample.iter().zip(&self.up).zip(levels[..LEVELS - 1].iter().rev()) {
            let larger = kernels.leave(kernels.upsample(transposed, kernels.enter(up)));
            up = joint.forward(larger, level.clone(), kernels);
        }
        let mut down = levels[0].clone();
        for (joint, level) in self.down.iter().zip(&levels[1..]) {
            down = joint.forward(space_to_depth(down, 2), level.clone(), kernels);
        }
        let project = |conv: &Conv2d, x: Tensor<4>| kernels.leave(kernels.convolve(conv, kernels.enter(x)));
        [project(&self.high, up), twice(project(&self.low, down))]
    }
}

/// Bilinear upsampling by 2 with half-pixel centres: `[B, C, n, n]` to `[B, C, 2n, 2n]`.
fn twice(image: Tensor<4>) -> Tensor<4> {
    let [_, _, size, _] = image.dims();
    let device = image.device();
    let mut weights = vec![0.0f32; 2 * size * size];
    for (index, row) in weights.chunks_exact_mut(size).enumerate() {
        // Pixel `index` of the larger image is a quarter of a pixel before or after the centre of pixel `index / 2`.
        let beside = if index % 2 == 0 { (index / 2).saturating_sub(1) } else { (index / 2 + 1).min(size - 1) };
        row[index / 2] += 0.75;
        row[beside] += 0.25;
    }
    let weights = Tensor::<4>::from_data(TensorData::new(weights, [1, 1, 2 * size, size]), &device);
    weights.clone().matmul(image).matmul(weights.swap_dims(2, 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tensors::values;

    #[test]
    fn the_outputs_have_the_size_of_the_slice_and_of_a_quarter() {
        for norm in [Norm::Batch, Norm::None] {
            let device = Device::flex();
            let config = UNetConfig { width: 2, depth: 4, norm, ..UNetConfig::default() };
            let net = FusionNet::init(&config, 1, &device);
            // Batch norm's parameter count includes its running statistics, which are not trained.
            let running = if norm == Norm::Batch { 2 * (2 + 4 + 8 + 4 + 8 + 16) } else { 0 };
            let unet = config.init(1, &device).num_params();
            assert_eq!(net.num_params() - running - unet, FusionNet::parameters(&config));
            let [high, low] = net.forward(Tensor::ones([2, 1, 32, 32], &device), Precision::F32);
            assert_eq!((high.dims(), low.dims()), ([2, 1, 32, 32], [2, 1, 8, 8]));
        }
    }

    #[test]
    fn upsampling_preserves_a_linear_ramp() {
        let device = Device::flex();
        let line = Tensor::<4>::from_data(
            TensorData::new(vec![0.0f32, 4.0, 8.0, 0.0, 4.0, 8.0, 0.0, 4.0, 8.0], [1, 1, 3, 3]),
            &device,
        );
        let larger = values(twice(line));
        assert_eq!(larger.len(), 36);
        assert_eq!(larger[6..12], [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]);
    }
}
