//! Random weights from the engine's own streams, so that a seed means the same network on every device (a backend's generator
//! is global and shared with the whole process).

use burn::module::Param;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::seed::{Stream, stream};

/// Draws the weights of layer after layer: uniform in +-1/sqrt(fan-in), weights and biases.
pub(super) struct Initializer<'a> {
    stream: Stream,
    device: &'a Device,
}

impl<'a> Initializer<'a> {
    /// Weights of a U-Net.
    pub(super) fn new(seed: u64, device: &'a Device) -> Self {
        Self::named(seed, "weights", device)
    }

    /// Weights of an additional module from a separate stream, so that the U-Net's do not change.
    pub(super) fn named(seed: u64, name: &str, device: &'a Device) -> Self {
        Self { stream: stream(seed, name, &[]), device }
    }

    /// Weight `[input, output]` and bias of a linear layer.
    pub(super) fn linear(&mut self, input: usize, output: usize) -> (Param<Tensor<2>>, Param<Tensor<1>>) {
        let bound = bound(input);
        (self.uniform([input, output], bound), self.uniform([output], bound))
    }

    /// A convolution with a square kernel and same padding.
    pub(super) fn conv(&mut self, input: usize, output: usize, kernel: usize) -> Conv2d {
        let mut conv = Conv2dConfig::new([input, output], [kernel, kernel])
            .with_padding(PaddingConfig2d::Explicit(kernel / 2, kernel / 2, kernel / 2, kernel / 2))
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(self.device);
        let bound = bound(input * kernel * kernel);
        conv.weight = self.uniform([output, input, kernel, kernel], bound);
        conv.bias = Some(self.uniform([output], bound));
        conv
    }

    /// A transposed convolution whose stride equals its kernel.
    pub(super) fn conv_transpose(&mut self, input: usize, output: usize, kernel: usize) -> ConvTranspose2d {
        let mut conv = ConvTranspose2dConfig::new([input, output], [kernel, kernel])
            .with_stride([kernel, kernel])
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(self.device);
        // PyTorch's fan-in for transposed convolutions: the output side.
        let bound = bound(output * kernel * kernel);
        conv.weight = self.uniform([input, output, kernel, kernel], bound);
        conv.bias = Some(self.uniform([output], bound));
        conv
    }

    fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f32) -> Param<Tensor<D>> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.stream.random_range(-bound..bound)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

fn bound(fan_in: usize) -> f32 {
    1.0 / (fan_in as f32).sqrt()
}
