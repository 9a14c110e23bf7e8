//! SimMIM (Xie et al., 2022) on the U-Net's encoder.

use std::ops::Range;

use burn::tensor::Device;

use super::{MaskedBatch, MaskedLoss, MaskedSlice, MaskedTask, Reconstruction};
use crate::config::{Config, Family, Preset, Pretext};
use crate::loss::masked_l1;
use crate::masking::pattern::{masked_units, random, units};
use crate::model::record::Transfer;
use crate::model::{PixelHeadNet, Precision};
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::network_config;
use crate::trainer::Head;
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "simmim",
    pretext: Pretext::SimMim,
    family: Family::Masked,
    what: "mask token on 60 % of the units of 32 pixels; L1 loss, head on the encoder",
    about: "SimMIM replaces 60 % of the units of 32 x 32 pixels (16 x 16 if 32 does not divide the slice) by a mask \
            token and predicts their pixels with a linear head on the encoder and the mean absolute error. Here the \
            token replaces pixels instead of patch embeddings, the head reads the U-Net's bottleneck, and slices are \
            not augmented. Only the encoder is transferred.",
    citation: "Xie et al., SimMIM: A Simple Framework for Masked Image Modeling, CVPR 2022",
};

/// Masks 60 % of the units with a token. A linear head on the bottleneck predicts the masked pixels.
pub(crate) struct SimMim {
    config: Config,
    units: PatchGrid,
}

impl SimMim {
    fn masked_pixels(&self) -> usize {
        masked_units(self.units.count()) * self.units.side() * self.units.side()
    }
}

impl MaskedTask for SimMim {
    type Net = PixelHeadNet;
    type Target = ();

    const TRANSFER: Transfer = Transfer::Encoder;
    const RECONSTRUCT: Option<Reconstruction<PixelHeadNet>> = Some(|net, image, pixel_mask| {
        let input = net.mask(image, pixel_mask);
        [input.clone(), net.forward(input, Precision::F32)]
    });

    fn errors(config: &Config) -> Vec<Error> {
        units(config.preprocess.size).err().into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let network = network_config(config);
        let (cells, pixels) =
            (config.preprocess.size / network.multiple(), network.in_channels * network.multiple().pow(2));
        // Weights: token and linear map with bias. Activations: the pixels before and after rearrangement.
        Head { weights: 1 + (network.bottleneck() + 1) * pixels, activations: 2 * cells * cells * pixels }
    }

    fn mask_grid(config: &Config) -> usize {
        units(config.preprocess.size).map_or(0, |units| units.grid())
    }

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.clone(), units: units(config.preprocess.size)? })
    }

    fn build(&self, seed: u64, device: &Device) -> PixelHeadNet {
        PixelHeadNet::init(&network_config(&self.config), seed, device)
    }

    fn mask(&self, _: &SliceData, key: [u64; 2]) -> Vec<f32> {
        let n = self.units.count();
        let mut masked = vec![0.0f32; n];
        random(n, masked_units(n), self.config.seed, &key).into_iter().for_each(|unit| masked[unit] = 1.0);
        self.units.spread(&masked)
    }

    fn target(&self, _: &SliceData, _: &[f32], _: [u64; 2]) {}

    /// The mean absolute deviation of the masked pixels from their median.
    fn constant_loss(&self, slices: &[MaskedSlice<()>]) -> f64 {
        let masked = |slice: &MaskedSlice<()>| {
            let area = slice.mask.len();
            let pixels = slice.pixels.iter().enumerate().filter(|(index, _)| slice.mask[index % area] > 0.0);
            pixels.map(|(_, value)| *value).collect::<Vec<_>>()
        };
        let mut values: Vec<f32> = slices.iter().flat_map(masked).collect();
        if values.is_empty() {
            return 0.0;
        }
        let middle = values.len() / 2;
        let median = f64::from(*values.select_nth_unstable_by(middle, f32::total_cmp).1);
        values.iter().map(|value| (f64::from(*value) - median).abs()).sum::<f64>() / values.len() as f64
    }

    fn loss(
        &self,
        net: &PixelHeadNet,
        batch: &MaskedBatch<()>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss> {
        let (image, mask) = (batch.images(range.clone(), device), batch.masks(range, device));
        let output = net.forward(net.mask(image.clone(), mask.clone()), self.config.training.precision);
        let loss = masked_l1(output.clone(), image, mask, self.masked_pixels());
        Ok(MaskedLoss { loss, name: "l1", constant: None, diagnostics: Vec::new(), output })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::masked::MaskedMethod;
    use crate::pretrain::synthetic::synthetic_batch;
    use crate::pretrain::testing::{check_gradient, check_head, check_micro_batches, config, sized, task};
    use crate::trainer::{MicroBatch, Objective, StepOutput};

    #[test]
    fn every_slice_has_the_same_number_of_masked_pixels() {
        // 32 px is a single unit of 32, of which one is masked; 48 px are 3 x 3 units of 16, six of them masked.
        let batch = |size: usize, slices: usize| {
            synthetic_batch(&task::<MaskedMethod<SimMim>>(&sized(size)), &sized(size), slices, 0).unwrap()
        };
        for (size, masked) in [(32, 32 * 32), (48, 6 * 256), (160, 15 * 1024)] {
            let task = SimMim::new(&sized(size)).unwrap();
            assert_eq!(task.masked_pixels(), masked, "{size}");
            for slice in batch(size, 3).slices(0..3) {
                assert_eq!(slice.mask.iter().filter(|m| **m > 0.0).count(), masked, "{size}");
            }
        }
        let batch = batch(48, 2);
        assert_ne!(batch.slices(0..1)[0].mask, batch.slices(1..2)[0].mask);
    }

    #[test]
    fn the_estimated_memory_counts_the_weights_of_the_head() {
        check_head::<MaskedMethod<SimMim>>(&config());
        assert_eq!(SimMim::head(&config()).activations, 2 * 32 * 32);
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        // Of 32 pixels the only unit is masked, and batch norm divides by nothing but its epsilon.
        check_gradient::<MaskedMethod<SimMim>>(&sized(48));
        check_micro_batches::<MaskedMethod<SimMim>>(&config());
    }

    #[test]
    fn the_best_constant_is_the_median_of_the_masked_pixels() {
        let task = SimMim::new(&config()).unwrap();
        let slice = MaskedSlice { pixels: vec![1.0, 2.0, 6.0, 100.0], mask: vec![1.0, 1.0, 1.0, 0.0], target: () };
        assert!((task.constant_loss(&[slice]) - 5.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn visible_pixels_do_not_count_and_masked_ones_do_not_reach_the_network() {
        let config = sized(48);
        let device = Device::flex();
        let method = task::<MaskedMethod<SimMim>>(&config);
        let net = method.build(1, &device);
        let loss = |shift: f32| {
            let batch = synthetic_batch(&method, &config, 1, 0).unwrap();
            let slice = &batch.slices(0..1)[0];
            let pixels = slice.pixels.iter().zip(&slice.mask).map(|(pixel, mask)| pixel + shift * mask).collect();
            let slice = MaskedSlice { pixels, mask: slice.mask.clone(), target: () };
            let batch = MaskedBatch::new(&config, vec![slice], 1.0);
            let micro = MicroBatch::whole(1, &device);
            let output = StepOutput::of(method.loss(&net, &batch, &micro).unwrap(), &micro).unwrap();
            (output.loss, output.picture(0).unwrap().unwrap())
        };
        let ((plain, picture), (shifted, same)) = (loss(0.0), loss(100.0));
        assert_eq!(picture, same, "a masked pixel reached the network");
        assert!((shifted - plain - 100.0).abs() < 5.0, "{plain} {shifted}");
    }
}
