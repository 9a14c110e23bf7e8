//! The U-Net's layers. Tensors are `[B, C, H, W]` in every layer and on every device.
//!
//! On the CPU in f32 a layer runs the kernels of [`crate::compute`], which keep channels side by side in memory: a tensor
//! between two layers is then a permuted view of `[B, H, W, C]`, and nothing is copied. Everywhere else burn's own
//! operations run. Both give the same numbers up to rounding.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{BatchNorm, BatchNormConfig, InstanceNorm, InstanceNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use super::init::Initializer;
use super::{Norm, Precision};
use crate::compute::{self, Unit, UnitNorm};

/// How the layers are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    /// Of the convolutions.
    pub precision: Precision,
    /// Uses [`crate::compute`] where it applies.
    pub own: bool,
}

impl Kernels {
    pub fn new(precision: Precision) -> Self {
        Self { precision, own: precision == Precision::F32 }
    }

    /// The largest of every 2x2 pixels.
    pub fn max_pool(self, x: Tensor<4>) -> Tensor<4> {
        match self.own_kernel(|| compute::max_pool(&channels_last(&x))) {
            Some(pooled) => pooled,
            None => max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2])),
        }
    }

    /// A transposed convolution with kernel 2 and stride 2.
    pub fn upsample(self, up: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
        let own = || compute::upsample(&channels_last(&x), &up.weight.val(), &up.bias.as_ref()?.val());
        match self.own_kernel(own) {
            Some(larger) => larger,
            None => self.precision.upsample(up, x),
        }
    }

    /// A convolution of stride 1 with same padding.
    pub fn convolve(self, conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        let own = || compute::convolve(&channels_last(&x), &conv.weight.val(), &conv.bias.as_ref()?.val());
        match self.own_kernel(own) {
            Some(output) => output,
            None => self.precision.convolve(conv, x),
        }
    }

    /// What one of our kernels computes, `[B, H, W, C]` back to `[B, C, H, W]`; `None` where burn computes.
    fn own_kernel(self, kernel: impl FnOnce() -> Option<Tensor<4>>) -> Option<Tensor<4>> {
        if self.own { kernel().map(|x| x.permute([0, 3, 1, 2])) } else { None }
    }
}

/// A view `[B, H, W, C]`.
fn channels_last(x: &Tensor<4>) -> Tensor<4> {
    x.clone().permute([0, 2, 3, 1])
}

/// Two 3x3 convolutions, each with normalisation and `ReLU`.
#[derive(Module, Debug)]
pub(super) struct Block {
    first: Conv2d,
    first_norm: Normalisation,
    second: Conv2d,
    second_norm: Normalisation,
}

impl Block {
    pub fn new(input: usize, output: usize, norm: Norm, init: &mut Initializer, device: &Device) -> Self {
        Self {
            first: init.conv(input, output, 3),
            first_norm: Normalisation::new(output, norm, device),
            second: init.conv(output, output, 3),
            second_norm: Normalisation::new(output, norm, device),
        }
    }

    /// Applies the block to the channels of `skip`, if there is one, followed by those of `x`.
    pub fn forward(&self, skip: Option<Tensor<4>>, x: Tensor<4>, kernels: Kernels) -> Tensor<4> {
        if let Some(output) = kernels.own_kernel(|| self.fused(skip.as_ref(), &x)) {
            return output;
        }
        let x = match skip {
            Some(skip) => Tensor::cat(vec![skip, x], 1),
            None => x,
        };
        let x = relu(self.first_norm.forward(kernels.precision.convolve(&self.first, x)));
        relu(self.second_norm.forward(kernels.precision.convolve(&self.second, x)))
    }

    /// The block as one operation on the CPU, `[B, H, W, C]`; `None` elsewhere.
    fn fused(&self, skip: Option<&Tensor<4>>, x: &Tensor<4>) -> Option<Tensor<4>> {
        let units = [(&self.first, &self.first_norm), (&self.second, &self.second_norm)];
        let [first, second] = units.map(|(conv, norm)| {
            let (affine, norm) = norm.for_cpu(x.device().is_autodiff() && norm.trains());
            Some(Unit { weight: conv.weight.val(), bias: conv.bias.as_ref()?.val(), affine, norm })
        });
        let (x, skip) = (channels_last(x), skip.map(channels_last));
        let (from, beside) = match &skip {
            Some(skip) => (skip, Some(&x)),
            None => (&x, None),
        };
        let out = compute::block(from, beside, &[first?, second?])?;
        for (norm, moments) in [&self.first_norm, &self.second_norm].into_iter().zip(out.moments) {
            if let (Some(norm), Some([mean, variance])) = (&norm.batch, moments) {
                update(norm, mean, variance);
            }
        }
        Some(out.values)
    }
}

/// Batch norm, instance norm or neither.
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

    fn trains(&self) -> bool {
        self.batch.as_ref().is_some_and(|norm| norm.training.is_enabled())
    }

    /// Gamma and beta, and where the statistics come from.
    fn for_cpu(&self, batch_statistics: bool) -> (Option<[Tensor<1>; 2]>, UnitNorm) {
        match (&self.batch, &self.instance) {
            (Some(norm), _) => {
                let statistics = if batch_statistics {
                    UnitNorm::Batch(norm.epsilon)
                } else {
                    let fixed = [norm.running_mean.value(), norm.running_var.value()];
                    UnitNorm::Fixed(Box::new(fixed), norm.epsilon)
                };
                (Some([norm.gamma.val(), norm.beta.val()]), statistics)
            }
            (None, Some(norm)) => {
                let affine = norm.gamma.as_ref().zip(norm.beta.as_ref());
                (affine.map(|(gamma, beta)| [gamma.val(), beta.val()]), UnitNorm::Image(norm.epsilon))
            }
            (None, None) => (None, UnitNorm::None),
        }
    }
}

/// Moves the running statistics towards those of a batch, as burn's own batch norm does.
fn update(norm: &BatchNorm, mean: Tensor<1>, variance: Tensor<1>) {
    for (state, new) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let old = state.value_sync().to_device(&new.device());
        state.update((old.mul_scalar(1.0 - norm.momentum) + new.mul_scalar(norm.momentum)).detach());
    }
}
