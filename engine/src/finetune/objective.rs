//! A fine-tuning batch: augmented slices on the host, and their Dice and cross-entropy on the device, whole or in portions.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::loss::{Overlap, cross_entropy, dice, dice_cross_entropy, overlap};
use crate::model::{Precision, UNet};
use crate::trainer::{Objective, Portion};
use crate::{ErrorKind, Result};

/// Augmented slices with their targets.
pub struct Samples {
    /// Pixels `[C][S][S]` and bits of the regions `[S][S]` of each slice.
    pub(super) made: Vec<(Vec<f32>, Vec<u8>)>,
    pub(super) channels: usize,
    pub(super) regions: usize,
    pub(super) size: usize,
    pub(super) precision: Precision,
}

impl Samples {
    /// Slices `[C][S][S]` with their targets, one region, `[S][S]` of 0 and 1; `channels` and the side `size` of all.
    pub fn new(made: Vec<(Vec<f32>, Vec<u8>)>, channels: usize, size: usize) -> Self {
        Self { made, channels, regions: 1, size, precision: Precision::F32 }
    }

    /// Images `[B, C, S, S]` and targets `[B, R, S, S]` of some of the slices.
    fn on(&self, range: Range<usize>, device: &Device) -> (Tensor<4>, Tensor<4>) {
        let (slices, area) = (range.len(), self.size * self.size);
        let mut pixels = Vec::with_capacity(slices * self.channels * area);
        let mut targets = Vec::with_capacity(slices * self.regions * area);
        for (image, bits) in &self.made[range] {
            pixels.extend_from_slice(image);
            for region in 0..self.regions {
                targets.extend(bits.iter().map(|b| f32::from(b >> region & 1)));
            }
        }
        let tensor = |values, channels| {
            Tensor::from_data(TensorData::new(values, [slices, channels, self.size, self.size]), device)
        };
        (tensor(pixels, self.channels), tensor(targets, self.regions))
    }
}

/// Batch Dice is a ratio of sums over the batch. Its gradient is that of a sum over the slices, once the sums of the whole
/// batch are known: `d(-O/S) = (O dS - S dO) / S^2`. So a batch in portions is surveyed first, without its gradients.
impl Objective for Samples {
    type Told = Tensor<1>;

    fn surveys(&self) -> bool {
        true
    }

    fn survey(&self, network: &UNet, portion: &Portion, device: &Device) -> Result<Vec<f64>> {
        let (image, target) = self.on(portion.range.clone(), device);
        let logits = network.forward_in(image, self.precision).inner();
        let Overlap { both, sizes } = overlap(&logits, &target.inner());
        let data = Tensor::cat(vec![both, sizes], 0).try_into_data();
        let failed = |why: String| ErrorKind::Compute { step: "surveying a batch".into(), why };
        Ok(data.map_err(|e| failed(e.to_string()))?.iter::<f64>().collect())
    }

    fn loss(&self, network: &UNet, portion: &Portion, device: &Device, sums: &[f64]) -> Result<(Tensor<1>, Tensor<1>)> {
        let (image, target) = self.on(portion.range.clone(), device);
        let logits = network.forward_in(image, self.precision);
        if sums.is_empty() {
            let loss = dice_cross_entropy(&logits, &target);
            let told = loss.clone().inner();
            return Ok((loss, told));
        }
        let (whole_both, whole_sizes) = sums.split_at(self.regions);
        let entropy = portion.weighted(cross_entropy(&logits, &target));
        // The batch's own value, a part with every portion.
        let told = entropy.clone().inner() + (1.0 - dice(whole_both, whole_sizes)) * portion.share();
        let part = overlap(&logits, &target);
        Ok((entropy - part.linear_dice(whole_both, whole_sizes), told))
    }
}
