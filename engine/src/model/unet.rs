//! Encoder, bottleneck, decoder and head (section 4.5).

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::init::Initializer;
use super::layers::{Block, Kernels};
use super::record::number_parameters;
use super::{PackedUNet, Precision};
use crate::{Error, Result};

/// Normalisation after each 3x3 convolution. The paper names none; batch norm is this project's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Over the batch and the image, per channel; running statistics at inference.
    #[default]
    Batch,
    /// Over the image, per channel.
    Instance,
    /// No normalisation.
    None,
}

/// Shape of a [`UNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the first level; each level below has twice as many. The paper's network is assumed to have 64.
    pub width: usize,
    /// Number of 2x2 poolings.
    pub depth: usize,
    /// Normalisation.
    pub norm: Norm,
    /// Input channels.
    pub in_channels: usize,
    /// Output channels: the image's in pre-training, one per region in fine-tuning.
    pub out_channels: usize,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self { width: 16, depth: 4, norm: Norm::Batch, in_channels: 1, out_channels: 1 }
    }
}

impl UNetConfig {
    /// An error that names the first setting that cannot be used.
    pub fn validate(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every setting that cannot be used.
    pub fn errors(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        let checks = [
            ("network.width", self.width, 1..=1024),
            ("network.depth", self.depth, 1..=6),
            ("network.in_channels", self.in_channels, 1..=16),
            ("network.out_channels", self.out_channels, 1..=16),
        ];
        for (field, value, range) in checks {
            if !range.contains(&value) {
                let why = format!("must be {} to {}", range.start(), range.end());
                errors.push(Error::config(field, value, why));
            }
        }
        errors
    }

    /// Input height and width must be multiples of this: 2^depth.
    pub fn multiple(&self) -> usize {
        1 << self.depth
    }

    /// Number of trained parameters.
    pub fn parameters(&self) -> usize {
        let channels: Vec<usize> = (0..=self.depth).map(|level| self.width << level).collect();
        // Two convolutions of 3x3 with their biases, and two numbers per channel for each normalisation.
        let norm = if self.norm == Norm::None { 0 } else { 4 };
        let block = |input: usize, output: usize| 9 * output * (input + output) + (2 + norm) * output;
        let inputs = std::iter::once(self.in_channels).chain(channels.iter().copied());
        let encoder: usize = inputs.zip(&channels).map(|(input, &output)| block(input, output)).sum();
        let level = |pair: &[usize]| 4 * pair[0] * pair[1] + pair[0] + block(pair[1], pair[0]);
        let decoder: usize = channels.windows(2).map(level).sum();
        encoder + decoder + self.out_channels * (self.width + 1)
    }

    /// Channels of the bottleneck: `width` 2^`depth`.
    pub fn bottleneck(&self) -> usize {
        self.width << self.depth
    }

    /// Layers between the output and the tensor of this name in a checkpoint, from 0 (the head) to 2 `depth` + 1 (the first
    /// encoder block).
    pub fn layers_above(&self, name: &str) -> usize {
        let mut parts = name.split('.');
        let (room, level) = (parts.next(), parts.next().and_then(|level| level.parse::<usize>().ok()));
        match (room, level) {
            (Some("encoder"), Some(level)) => (2 * self.depth + 1).saturating_sub(level),
            // Decoder blocks are numbered from the deepest.
            (Some("up" | "decoder"), Some(level)) => self.depth.saturating_sub(level),
            _ => 0,
        }
    }

    /// A network with random weights that depend only on `seed`, not on the device.
    pub fn init(&self, seed: u64, device: &Device) -> UNet {
        let mut init = Initializer::new(seed, device);
        let channels: Vec<usize> = (0..=self.depth).map(|level| self.width << level).collect();
        let mut encoder = Vec::with_capacity(self.depth + 1);
        let mut input = self.in_channels;
        for &output in &channels {
            encoder.push(Block::new(input, output, self.norm, &mut init, device));
            input = output;
        }
        let levels = || (0..self.depth).rev();
        let up = levels().map(|l| init.conv_transpose(channels[l + 1], channels[l], 2)).collect();
        let decoder =
            levels().map(|l| Block::new(channels[l + 1], channels[l], self.norm, &mut init, device)).collect();
        let head = init.conv(self.width, self.out_channels, 1);
        number_parameters(UNet { encoder, up, decoder, head })
    }
}

/// The U-Net: `depth` poolings, a bottleneck, `depth` transposed convolutions with skips, a 1x1 head.
#[derive(Module, Debug)]
pub struct UNet {
    pub(super) encoder: Vec<Block>,
    pub(super) up: Vec<ConvTranspose2d>,
    pub(super) decoder: Vec<Block>,
    pub(super) head: Conv2d,
}

impl UNet {
    /// A copy for inference, which is faster on the CPU.
    pub fn pack(&self) -> PackedUNet {
        PackedUNet::new(self)
    }

    /// `[B, in, H, W]` to `[B, out, H, W]`, without a final activation. `H` and `W` are multiples of 2^depth.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_in(input, Precision::F32)
    }

    /// [`UNet::forward`] with convolutions in a precision; the output is f32.
    pub fn forward_in(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        let kernels = Kernels::new(precision, &input);
        self.forward_by(input, kernels)
    }

    /// [`UNet::forward_in`] with the features that skip from the first level to the last block multiplied by `visible`,
    /// `[B, 1, H, W]`.
    pub fn forward_through(&self, input: Tensor<4>, visible: Tensor<4>, precision: Precision) -> Tensor<4> {
        let kernels = Kernels::new(precision, &input);
        let mut features = self.encode_by(kernels.enter(input), kernels);
        if let Some(top) = features.skips.first_mut() {
            *top = top.clone() * kernels.enter(visible);
        }
        kernels.leave(kernels.convolve(&self.head, self.decode_by(features, kernels)))
    }

    /// The encoder's output at every level.
    pub fn encode(&self, input: Tensor<4>, precision: Precision) -> Features {
        let kernels = Kernels::new(precision, &input);
        let Features { skips, bottleneck } = self.encode_by(kernels.enter(input), kernels);
        let skips = skips.into_iter().map(|skip| kernels.leave(skip)).collect();
        Features { skips, bottleneck: kernels.leave(bottleneck) }
    }

    /// The last block of the decoder, `[B, width, H, W]`, to which [`UNet::forward`] applies the head.
    pub fn decode(&self, features: Features, precision: Precision) -> Tensor<4> {
        let Features { skips, bottleneck } = features;
        let kernels = Kernels::new(precision, &bottleneck);
        let skips = skips.into_iter().map(|skip| kernels.enter(skip)).collect();
        kernels.leave(self.decode_by(Features { skips, bottleneck: kernels.enter(bottleneck) }, kernels))
    }

    /// [`UNet::forward_in`] with intermediate results.
    pub fn trace(&self, input: Tensor<4>, precision: Precision) -> Trace {
        let kernels = Kernels::new(precision, &input);
        let features = self.encode_by(kernels.enter(input), kernels);
        let bottleneck = kernels.leave(features.bottleneck.clone());
        let last = self.decode_by(features, kernels);
        let output = kernels.leave(kernels.convolve(&self.head, last.clone()));
        Trace { bottleneck, last: kernels.leave(last), output }
    }

    /// [`UNet::encode`] on visible pixels only: `visible` `[B, 1, H, W]` is 1 on these, else 0, in whole cells of the
    /// bottleneck. Features are 0 at masked positions, and statistics cover visible ones only.
    pub fn encode_visible(&self, input: Tensor<4>, visible: &Tensor<4>, precision: Precision) -> Features {
        let kernels = Kernels::new(precision, &input);
        let (mut skips, mut visible) = (Vec::with_capacity(self.decoder.len()), visible.clone());
        let mut x = kernels.enter(input * visible.clone());
        for (level, block) in self.encoder.iter().enumerate() {
            if level > 0 {
                skips.push(kernels.leave(x.clone()));
                x = kernels.max_pool(x);
                visible = shrink(visible);
            }
            x = block.forward_visible(x, &kernels.enter(visible.clone()), kernels);
        }
        Features { skips, bottleneck: kernels.leave(x) }
    }

    /// The output of the decoder and the head for features, `[B, out, H, W]`.
    pub fn output_of(&self, features: Features, precision: Precision) -> Tensor<4> {
        let Features { skips, bottleneck } = features;
        let kernels = Kernels::new(precision, &bottleneck);
        let skips = skips.into_iter().map(|skip| kernels.enter(skip)).collect();
        let last = self.decode_by(Features { skips, bottleneck: kernels.enter(bottleneck) }, kernels);
        kernels.leave(kernels.convolve(&self.head, last))
    }

    pub(super) fn forward_by(&self, input: Tensor<4>, kernels: Kernels) -> Tensor<4> {
        let features = self.encode_by(kernels.enter(input), kernels);
        kernels.leave(kernels.convolve(&self.head, self.decode_by(features, kernels)))
    }

    fn encode_by(&self, input: Tensor<4>, kernels: Kernels) -> Features {
        let mut skips = Vec::with_capacity(self.decoder.len());
        let mut x = input;
        for (level, block) in self.encoder.iter().enumerate() {
            if level > 0 {
                skips.push(x.clone());
                x = kernels.max_pool(x);
            }
            x = block.forward(None, x, kernels);
        }
        Features { skips, bottleneck: x }
    }

    fn decode_by(&self, features: Features, kernels: Kernels) -> Tensor<4> {
        let Features { mut skips, bottleneck: mut x } = features;
        for (up, block) in self.up.iter().zip(&self.decoder) {
            let larger = kernels.upsample(up, x);
            x = block.forward(skips.pop(), larger, kernels);
        }
        x
    }
}

/// A mask at half its size: 1 where any of 2 x 2 pixels is.
pub(super) fn shrink(mask: Tensor<4>) -> Tensor<4> {
    max_pool2d(mask, MaxPoolOptions::new([2, 2]).with_stride([2, 2]))
}

/// Input of the decoder.
#[derive(Clone, Debug)]
pub struct Features {
    /// Level `l` is `[B, width 2^l, H/2^l, W/2^l]`, finest first.
    pub skips: Vec<Tensor<4>>,
    /// `[B, width 2^depth, H/2^depth, W/2^depth]`.
    pub bottleneck: Tensor<4>,
}

/// A forward pass: the output, and the features that heads read.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `[B, width 2^depth, H/2^depth, W/2^depth]`.
    pub bottleneck: Tensor<4>,
    /// The last block of the decoder, `[B, width, H, W]`.
    pub last: Tensor<4>,
    /// `[B, out, H, W]`.
    pub output: Tensor<4>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
#[path = "unet_tests.rs"]
mod tests;
