//! Encoder, bottleneck, decoder and head.

mod cpu;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, InstanceNorm, InstanceNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Precision;
use super::init::Initializer;
use super::record::number_parameters;
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
    /// None.
    None,
}

/// Shape of a [`UNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the first level; each level below has twice as many. The paper's network is taken to have 64.
    pub width: usize,
    /// Number of 2x2 poolings.
    pub depth: usize,
    /// Normalisation.
    pub norm: Norm,
    /// Input channels.
    pub in_channels: usize,
    /// Output channels: those of the image in pre-training, one a region in fine-tuning.
    pub out_channels: usize,
    /// Holds a trained number for masked pixels (pre-training with `fill = "learned"`).
    pub learned_fill: bool,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self { width: 16, depth: 4, norm: Norm::Batch, in_channels: 1, out_channels: 1, learned_fill: false }
    }
}

impl UNetConfig {
    /// An error that names the first setting that cannot be used.
    pub fn validate(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every setting that cannot be used.
    pub fn errors(&self) -> Vec<Error> {
        let mut found = Vec::new();
        let checks = [
            ("network.width", self.width, 1..=1024),
            ("network.depth", self.depth, 1..=6),
            ("network.in_channels", self.in_channels, 1..=16),
            ("network.out_channels", self.out_channels, 1..=16),
        ];
        for (field, value, range) in checks {
            if !range.contains(&value) {
                let why = format!("it must lie in {} to {}", range.start(), range.end());
                found.push(Error::config(field, value, why));
            }
        }
        found
    }

    /// Input height and width must be multiples of this: 2^depth.
    pub fn multiple(&self) -> usize {
        1 << self.depth
    }

    /// Trained numbers of the network.
    pub fn parameters(&self) -> usize {
        let channels: Vec<usize> = (0..=self.depth).map(|level| self.width << level).collect();
        // Two convolutions of 3x3 with their biases, and two numbers a channel for each normalisation.
        let norm = if self.norm == Norm::None { 0 } else { 4 };
        let block = |input: usize, output: usize| 9 * output * (input + output) + (2 + norm) * output;
        let inputs = std::iter::once(self.in_channels).chain(channels.iter().copied());
        let encoder: usize = inputs.zip(&channels).map(|(input, &output)| block(input, output)).sum();
        let raised = |pair: &[usize]| 4 * pair[0] * pair[1] + pair[0] + block(pair[1], pair[0]);
        let decoder: usize = channels.windows(2).map(raised).sum();
        encoder + decoder + self.out_channels * (self.width + 1) + usize::from(self.learned_fill)
    }

    /// A network with random weights drawn from `seed` alone: the same on every device.
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
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        let fill = self.learned_fill.then(|| Param::from_tensor(Tensor::zeros([1], device)));
        number_parameters(UNet { encoder, pool, up, decoder, head, fill })
    }
}

/// Two 3x3 convolutions, each with normalisation and `ReLU`.
#[derive(Module, Debug)]
struct Block {
    first: Conv2d,
    first_norm: Normalisation,
    second: Conv2d,
    second_norm: Normalisation,
}

/// At most one of the two is there.
#[derive(Module, Debug)]
struct Normalisation {
    batch: Option<BatchNorm>,
    instance: Option<InstanceNorm>,
}

impl Normalisation {
    fn new(channels: usize, norm: Norm, device: &Device) -> Self {
        Self {
            batch: (norm == Norm::Batch).then(|| BatchNormConfig::new(channels).init(device)),
            instance: (norm == Norm::Instance).then(|| InstanceNormConfig::new(channels).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match (&self.batch, &self.instance) {
            (Some(norm), _) => norm.forward(x),
            (None, Some(norm)) => norm.forward(x),
            (None, None) => x,
        }
    }
}

impl Block {
    fn new(input: usize, output: usize, norm: Norm, init: &mut Initializer, device: &Device) -> Self {
        Self {
            first: init.conv(input, output, 3),
            first_norm: Normalisation::new(output, norm, device),
            second: init.conv(output, output, 3),
            second_norm: Normalisation::new(output, norm, device),
        }
    }

    fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let x = relu(self.first_norm.forward(precision.convolve(&self.first, x)));
        relu(self.second_norm.forward(precision.convolve(&self.second, x)))
    }
}

/// The U-Net: `depth` poolings, a bottleneck, `depth` transposed convolutions with skips, a 1x1 head.
#[derive(Module, Debug)]
pub struct UNet {
    encoder: Vec<Block>,
    pool: MaxPool2d,
    up: Vec<ConvTranspose2d>,
    decoder: Vec<Block>,
    head: Conv2d,
    fill: Option<Param<Tensor<1>>>,
}

impl UNet {
    /// This network's encoder and decoder with the head of another: what fine-tuning starts from (section 4.5).
    #[must_use]
    pub fn with_head_of(self, other: UNet) -> UNet {
        number_parameters(UNet { head: other.head, fill: None, ..self })
    }

    /// `image` `[B, C, H, W]` with the pixels of `hidden` (1 on masked pixels, `[B, 1, H, W]`) replaced: by `noise`
    /// `[B, C, H, W]` if given, else by the network's own number if it has one, else by 0.
    pub fn masked(&self, image: Tensor<4>, hidden: Tensor<4>, noise: Option<Tensor<4>>) -> Tensor<4> {
        let visible = image * (-hidden.clone() + 1.0);
        match (noise, &self.fill) {
            (Some(noise), _) => visible + noise * hidden,
            (None, Some(fill)) => visible + hidden * fill.val().reshape([1, 1, 1, 1]),
            (None, None) => visible,
        }
    }

    /// `[B, in, H, W]` to `[B, out, H, W]`, without a final activation. `H` and `W` are multiples of 2^depth.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_in(input, Precision::F32)
    }

    /// [`UNet::forward`] with convolutions in a precision; the output is f32.
    pub fn forward_in(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        let on_cpu = if precision == Precision::F32 { self.forward_on_cpu(&input) } else { None };
        match on_cpu {
            Some(output) => output,
            None => self.forward_on_any_device(input, precision),
        }
    }

    /// [`UNet::forward_in`] by burn's own operations.
    fn forward_on_any_device(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        let mut skips = Vec::with_capacity(self.encoder.len());
        let mut x = input;
        for (level, block) in self.encoder.iter().enumerate() {
            if level > 0 {
                x = self.pool.forward(x);
            }
            x = block.forward(x, precision);
            skips.push(x.clone());
        }
        skips.pop();
        for (up, block) in self.up.iter().zip(&self.decoder) {
            let raised = precision.raise(up, x);
            x = match skips.pop() {
                Some(skip) => block.forward(Tensor::cat(vec![skip, raised], 1), precision),
                None => block.forward(raised, precision),
            };
        }
        precision.convolve(&self.head, x)
    }
}
