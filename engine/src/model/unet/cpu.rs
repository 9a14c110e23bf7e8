//! The network on the CPU, through [`crate::compute`]: the same numbers, up to rounding, as the general way.

use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use super::{Block, Normalisation, UNet};
use crate::compute::{self, Unit, UnitNorm};

impl UNet {
    /// As [`UNet::forward`]; none on other devices. Between its blocks, channels lie side by side.
    pub(super) fn forward_on_cpu(&self, input: &Tensor<4>) -> Option<Tensor<4>> {
        let mut skips = Vec::with_capacity(self.encoder.len());
        let mut x = input.clone().permute([0, 2, 3, 1]);
        for (level, block) in self.encoder.iter().enumerate() {
            if level > 0 {
                x = compute::max_pool(&x)?;
            }
            x = block.forward_on_cpu(&x, None)?;
            skips.push(x.clone());
        }
        skips.pop();
        for (up, block) in self.up.iter().zip(&self.decoder) {
            let upsampled = compute::upsample(&x, &up.weight.val(), &up.bias.as_ref()?.val())?;
            x = match skips.pop() {
                Some(skip) => block.forward_on_cpu(&skip, Some(&upsampled))?,
                None => block.forward_on_cpu(&upsampled, None)?,
            };
        }
        let x = compute::convolve(&x, &self.head.weight.val(), &self.head.bias.as_ref()?.val())?;
        Some(x.permute([0, 3, 1, 2]))
    }
}

impl Block {
    /// Applies the block to `[B, H, W, C]`, with the channels of `beside` behind those of `x`.
    fn forward_on_cpu(&self, x: &Tensor<4>, beside: Option<&Tensor<4>>) -> Option<Tensor<4>> {
        let batch_statistics = |n: &Normalisation| x.device().is_autodiff() && n.trains();
        let units = [(&self.first, &self.first_norm), (&self.second, &self.second_norm)];
        let [first, second] = units.map(|(conv, norm)| {
            let (affine, norm) = norm.for_cpu(batch_statistics(norm));
            Some(Unit { weight: conv.weight.val(), bias: conv.bias.as_ref()?.val(), affine, norm })
        });
        let out = compute::block(x, beside, &[first?, second?])?;
        for (norm, moments) in [&self.first_norm, &self.second_norm].into_iter().zip(out.moments) {
            if let (Some(norm), Some([mean, variance])) = (&norm.batch, moments) {
                update(norm, mean, variance);
            }
        }
        Some(out.values)
    }
}

impl Normalisation {
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
