//! The U-Net's layers: our own kernels on the CPU in f32, burn's operations everywhere else.
//!
//! Our kernels ([`crate::compute`]) store channels last: with them, tensors between layers are `[B, H, W, C]`, otherwise
//! `[B, C, H, W]`. Both give the same numbers up to rounding.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{BatchNorm, BatchNormConfig, InstanceNorm, InstanceNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use lanes::Cpu;

use super::init::Initializer;
use super::{Norm, Precision};
use crate::compute::{self, PackedUnit, Unit, UnitNorm};

/// How the layers are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    /// Of the convolutions.
    pub precision: Precision,
    /// Uses the kernels of [`crate::compute`] where they apply.
    pub own: bool,
}

impl Kernels {
    /// The kernels for an input in a precision.
    pub fn new(precision: Precision, input: &Tensor<4>) -> Self {
        Self { precision, own: precision == Precision::F32 && compute::is_supported(input) }
    }

    /// Converts `[B, C, H, W]` to the kernels' layout.
    pub fn enter(self, x: Tensor<4>) -> Tensor<4> {
        if self.own { channels_last(x) } else { x }
    }

    /// Converts back to `[B, C, H, W]`.
    pub fn leave(self, x: Tensor<4>) -> Tensor<4> {
        if self.own { channels_first(x) } else { x }
    }

    /// 2x2 max pooling.
    pub fn max_pool(self, x: Tensor<4>) -> Tensor<4> {
        match self.own_kernel(|| compute::max_pool(&x)) {
            Some(pooled) => pooled,
            None => self.enter(max_pool2d(self.leave(x), MaxPoolOptions::new([2, 2]).with_stride([2, 2]))),
        }
    }

    /// A transposed convolution with kernel 2 and stride 2.
    pub fn upsample(self, up: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
        match self.own_kernel(|| compute::upsample(&x, &up.weight.val(), &up.bias.as_ref()?.val())) {
            Some(larger) => larger,
            None => self.enter(self.precision.upsample(up, self.leave(x))),
        }
    }

    /// A convolution of stride 1 with same padding.
    pub fn convolve(self, conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        match self.own_kernel(|| compute::convolve(&x, &conv.weight.val(), &conv.bias.as_ref()?.val())) {
            Some(output) => output,
            None => self.enter(self.precision.convolve(conv, self.leave(x))),
        }
    }

    /// What one of our kernels computes; `None` where burn computes.
    fn own_kernel(self, kernel: impl FnOnce() -> Option<Tensor<4>>) -> Option<Tensor<4>> {
        if self.own { kernel() } else { None }
    }
}

/// `[B, C, H, W]` as `[B, H, W, C]`.
fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[B, H, W, C]` as `[B, C, H, W]`.
fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
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
        let x = kernels.leave(x);
        let x = match skip {
            Some(skip) => Tensor::cat(vec![kernels.leave(skip), x], 1),
            None => x,
        };
        let x = relu(self.first_norm.forward(kernels.precision.convolve(&self.first, x)));
        kernels.enter(relu(self.second_norm.forward(kernels.precision.convolve(&self.second, x))))
    }

    /// Applies the block to the visible positions of `x`: masked positions are 0 before and after each convolution, and excluded
    /// from the statistics. `visible` has one channel, which is 1 on visible positions, else 0.
    pub fn forward_visible(&self, x: Tensor<4>, visible: &Tensor<4>, kernels: Kernels) -> Tensor<4> {
        let units = [(&self.first, &self.first_norm), (&self.second, &self.second_norm)];
        units.into_iter().fold(x, |x, (conv, norm)| {
            relu(norm.forward_visible(kernels.convolve(conv, x), visible, kernels)) * visible.clone()
        })
    }

    /// Its two convolutions for inference; `None` where burn computes them.
    pub fn pack(&self, cpu: Cpu) -> Option<[PackedUnit; 2]> {
        let [first, second] = self.units(false)?;
        Some([PackedUnit::new(&first, cpu)?, PackedUnit::new(&second, cpu)?])
    }

    /// Its two convolutions. A batch norm that trains has the statistics of the batch if `trained`.
    fn units(&self, trained: bool) -> Option<[Unit; 2]> {
        let units = [(&self.first, &self.first_norm), (&self.second, &self.second_norm)];
        let [first, second] = units.map(|(conv, norm)| {
            let (affine, norm) = norm.for_cpu(trained && norm.is_trainable());
            Some(Unit { weight: conv.weight.val(), bias: conv.bias.as_ref()?.val(), affine, norm })
        });
        Some([first?, second?])
    }

    /// The block as one operation on `[B, H, W, C]`; `None` where a tensor is not on the CPU.
    fn fused(&self, skip: Option<&Tensor<4>>, x: &Tensor<4>) -> Option<Tensor<4>> {
        let (from, beside) = skip.map_or((x, None), |skip| (skip, Some(x)));
        let out = compute::block(from, beside, &self.units(x.device().is_autodiff())?)?;
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
pub(super) struct Normalisation {
    batch: Option<BatchNorm>,
    instance: Option<InstanceNorm>,
}

impl Normalisation {
    pub fn new(channels: usize, norm: Norm, device: &Device) -> Self {
        Self {
            batch: (norm == Norm::Batch).then(|| BatchNormConfig::new(channels).init(device)),
            instance: (norm == Norm::Instance).then(|| InstanceNormConfig::new(channels).init(device)),
        }
    }

    /// Of `[B, C, H, W]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match (&self.batch, &self.instance) {
            (Some(norm), _) => norm.forward(x),
            (None, Some(norm)) => norm.forward(x),
            (None, None) => x,
        }
    }

    /// [`Normalisation::forward`] with the statistics of visible positions, in the kernels' layout.
    fn forward_visible(&self, x: Tensor<4>, visible: &Tensor<4>, kernels: Kernels) -> Tensor<4> {
        let batch_statistics = x.device().is_autodiff() && self.is_trainable();
        let (affine, epsilon, groups) = match self.for_cpu(batch_statistics) {
            (affine, UnitNorm::Batch(epsilon)) => (affine, epsilon, 1),
            (affine, UnitNorm::Image(epsilon)) => (affine, epsilon, x.dims()[0]),
            (_, UnitNorm::Fixed(..) | UnitNorm::None) => return kernels.enter(self.forward(kernels.leave(x))),
        };
        let x = channels_last(kernels.leave(x));
        let (shape, channels) = (x.dims(), x.dims()[3]);
        let positions = shape[0] * shape[1] * shape[2] / groups;
        let x = x.reshape([groups, positions, channels]);
        // Sums over visible positions are products with this row.
        let row = channels_last(kernels.leave(visible.clone())).reshape([groups, 1, positions]);
        let count = row.clone().sum_dim(2).clamp_min(1.0);
        let mean = row.clone().matmul(x.clone()) / count.clone();
        let centred = x - mean.clone();
        let variance = row.matmul(centred.clone() * centred.clone()) / count;
        let mut scale = (variance.clone() + epsilon).sqrt().recip();
        let mut shift = None;
        if let Some([gamma, beta]) = affine {
            scale = scale * gamma.reshape([1, 1, channels]);
            shift = Some(beta.reshape([1, 1, 1, channels]));
        }
        if let Some(norm) = &self.batch {
            update(norm, mean.reshape([channels]), variance.reshape([channels]));
        }
        let scaled = (centred * scale).reshape(shape);
        kernels.enter(channels_first(match shift {
            Some(shift) => scaled + shift,
            None => scaled,
        }))
    }

    fn is_trainable(&self) -> bool {
        self.batch.as_ref().is_some_and(|norm| norm.training.is_enabled())
    }

    /// Gamma and beta, and the source of the statistics.
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

/// Updates the running statistics from a batch, as burn's batch norm does.
fn update(norm: &BatchNorm, mean: Tensor<1>, variance: Tensor<1>) {
    for (state, new) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let old = state.value_sync().to_device(&new.device());
        state.update((old.mul_scalar(1.0 - norm.momentum) + new.mul_scalar(norm.momentum)).detach());
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::test_tensors::values;

    /// A map that is 3 on its visible half and 100 elsewhere has a mean of 3, in the output and in the running statistics.
    #[test]
    fn masked_positions_are_excluded_from_the_statistics() {
        let device = Device::flex().autodiff();
        let norm = Normalisation::new(1, Norm::Batch, &device);
        let tensor =
            |numbers: [f32; 4]| Tensor::<4>::from_data(TensorData::new(numbers.to_vec(), [1, 1, 2, 2]), &device);
        let (x, visible) = (tensor([3.0, 3.0, 100.0, 100.0]), tensor([1.0, 1.0, 0.0, 0.0]));
        let kernels = Kernels::new(Precision::F32, &x);
        let [x, visible] = [x, visible].map(|tensor| kernels.enter(tensor));
        let output = values(kernels.leave(norm.forward_visible(x, &visible, kernels)));
        assert!(output[..2].iter().all(|value| value.abs() < 1e-6), "{output:?}");
        let mean = norm.batch.as_ref().map(|norm| values(norm.running_mean.value_sync()));
        assert!((mean.unwrap_or_default()[0] - 0.3).abs() < 1e-6, "a tenth of the way from 0 to 3");
    }
}
