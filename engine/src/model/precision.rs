//! Precision of the convolutions. Weights, normalisations, losses and the optimiser stay in f32.

use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// Precision of the convolutions. Below f32 their inputs and weights are rounded; the output is f32 again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single.
    #[default]
    F32,
    /// Eight bits of exponent as in f32, eight of significand.
    Bf16,
    /// Five bits of exponent, eleven of significand. Gradients are not scaled: small ones become 0.
    F16,
}

impl Precision {
    /// The name that the command line and the settings use.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// The tensors' type, if not f32.
    pub fn reduced(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }

    /// A convolution of stride 1 with same padding.
    pub(super) fn convolve(self, conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        let Some(dtype) = self.reduced() else { return conv.forward(x) };
        let weight = conv.weight.val();
        let [_, _, height, width] = weight.dims();
        let options = ConvOptions::new([1, 1], [height / 2, width / 2], [1, 1], 1);
        let bias = conv.bias.as_ref().map(|bias| bias.val().cast(dtype));
        conv2d(x.cast(dtype), weight.cast(dtype), bias, options).cast(FloatDType::F32)
    }

    /// A transposed convolution whose stride equals its kernel.
    pub(super) fn upsample(self, up: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
        let Some(dtype) = self.reduced() else { return up.forward(x) };
        let weight = up.weight.val();
        let [_, _, height, width] = weight.dims();
        let options = ConvTransposeOptions::new([height, width], [0, 0], [0, 0], [1, 1], 1);
        let bias = up.bias.as_ref().map(|bias| bias.val().cast(dtype));
        conv_transpose2d(x.cast(dtype), weight.cast(dtype), bias, options).cast(FloatDType::F32)
    }
}
