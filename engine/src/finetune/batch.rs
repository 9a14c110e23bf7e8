//! Batches of fine-tuning, with Dice and cross-entropy loss.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::Result;
use crate::config::Config;
use crate::loss::{Overlap, cross_entropy, dice, dice_loss, overlap};
use crate::model::{UNet, read_values};
use crate::predict::network_config;
use crate::trainer::{MicroBatch, MicroLoss, Objective};

/// Augmented slices with their targets, on the host.
pub struct Samples {
    /// Pixels `[C][S][S]` and region bits `[S][S]` of each slice.
    slices: Vec<(Vec<f32>, Vec<u8>)>,
    channels: usize,
    regions: usize,
    size: usize,
}

impl Samples {
    /// Slices `[C][S][S]` with their targets `[S][S]`, whose bit r says whether a pixel belongs to region r.
    pub fn new(slices: Vec<(Vec<f32>, Vec<u8>)>, channels: usize, regions: usize, size: usize) -> Self {
        Self { slices, channels, regions, size }
    }

    /// Images `[B, C, S, S]` and targets `[B, R, S, S]` of some of the slices.
    fn on(&self, range: Range<usize>, device: &Device) -> (Tensor<4>, Tensor<4>) {
        let (slices, area) = (range.len(), self.size * self.size);
        let mut pixels = Vec::with_capacity(slices * self.channels * area);
        let mut targets = Vec::with_capacity(slices * self.regions * area);
        for (image, bits) in &self.slices[range] {
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

/// Batch Dice and binary cross-entropy, 1:1.
///
/// Batch Dice is a ratio of sums over the batch. Once the sums are known, its gradient is that of a sum over slices:
/// `d(-O/S) = (O dS - S dO) / S^2`. So with micro-batches, the sums of the whole batch are computed first, without gradients.
pub struct DiceCrossEntropy<'a>(pub &'a Config);

impl Objective for DiceCrossEntropy<'_> {
    type Net = UNet;
    type Batch = Samples;

    fn build(&self, seed: u64, device: &Device) -> UNet {
        network_config(self.0).init(seed, device)
    }

    fn batch_statistics(&self, net: &UNet, batch: &Samples, micro: &MicroBatch<'_>) -> Result<Option<Vec<f64>>> {
        let (image, target) = batch.on(micro.range.clone(), micro.device);
        let logits = net.forward_in(image, self.0.training.precision).inner();
        let Overlap { intersection, sizes } = overlap(&logits, &target.inner());
        read_values(Tensor::cat(vec![intersection, sizes], 0), "the Dice sums of a batch").map(Some)
    }

    fn loss(&self, net: &UNet, batch: &Samples, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (image, target) = batch.on(micro.range.clone(), micro.device);
        let output = net.forward_in(image, self.0.training.precision);
        let (sums, bce) = (overlap(&output, &target), cross_entropy(&output, &target));
        let (objective, dice) = if micro.is_whole() {
            let dice = dice_loss(sums);
            (dice.clone() + bce.clone(), dice)
        } else {
            let (intersection, sizes) = micro.statistics.split_at(batch.regions);
            let objective = micro.weighted(bce.clone()) - sums.linear_dice(intersection, sizes);
            // The Dice of the whole batch, which is the same for each of its micro-batches.
            (objective, Tensor::full([1], 1.0 - dice(intersection, sizes), micro.device))
        };
        let value = dice.clone() + bce.clone();
        Ok(MicroLoss {
            objective,
            value,
            parts: vec![("dice", dice), ("bce", bce)],
            diagnostics: Vec::new(),
            per_slice: None,
            output,
        })
    }
}
