//! SimMIM (Xie et al., 2022) on the U-Net's encoder.
//!
//! 60 % of units of 32 x 32 px (16 x 16 where 32 does not divide the slice) are replaced by a mask token; a linear pixel head on
//! the bottleneck reconstructs the slice; the loss is the mean absolute error over the masked pixels. The encoder is transferred.
//! Unlike the original, the token stands in place of pixels, not of patch embeddings, and slices are not augmented.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::tensors::images;
use super::{Slices, network_config, synthetic_slice};
use crate::Result;
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::loss::masked_l1;
use crate::masking::pattern::{masked_units, random, units};
use crate::model::record::Transfer;
use crate::model::{PixelHeadNet, UNetConfig};
use crate::patch::PatchGrid;
use crate::probe::{Pin, PinnedPictures, TrainingSlice};
use crate::trainer::{
    Dataset, EpochEnd, Head, Method, MicroBatch, MicroLoss, Objective, Parts, Position, Resumed, Session, StepOutput,
};

/// A pre-training by SimMIM.
pub struct SimMim<'a> {
    config: &'a Config,
    session: &'a Session<'a>,
    slices: &'a Slices,
    grid: PatchGrid,
    probes: PinnedPictures<'a>,
}

/// Masked slices on the host.
pub struct UnitBatch {
    grid: PatchGrid,
    channels: usize,
    /// `[C][S][S]` each.
    pixels: Vec<Vec<f32>>,
    /// `[S][S]` each, 1 on masked pixels.
    pixel_masks: Vec<Vec<f32>>,
    /// Masked pixels of every slice.
    masked: usize,
}

impl UnitBatch {
    /// Masks slices, each at its `place` (epoch, slice).
    fn new(config: &Config, grid: PatchGrid, slices: Vec<(Vec<f32>, [u64; 2])>) -> Self {
        let (n, count) = (grid.count(), masked_units(grid.count()));
        let mask = |place: &[u64; 2]| {
            let mut masked = vec![0.0f32; n];
            random(n, count, config.seed, place).into_iter().for_each(|unit| masked[unit] = 1.0);
            grid.spread(&masked)
        };
        let pixel_masks = slices.iter().map(|(_, place)| mask(place)).collect();
        let pixels = slices.into_iter().map(|(pixels, _)| pixels).collect();
        let (channels, masked) = (network_config(config).in_channels, count * grid.side() * grid.side());
        Self { grid, channels, pixels, pixel_masks, masked }
    }

    /// Images `[B, C, S, S]` and pixel masks `[B, 1, S, S]` of some of the slices.
    fn on(&self, range: Range<usize>, device: &Device) -> (Tensor<4>, Tensor<4>) {
        let size = self.grid.size();
        let image = images(self.pixels[range.clone()].iter(), self.channels, size, device);
        (image, images(self.pixel_masks[range].iter(), 1, size, device))
    }
}

/// The reconstruction of masked pixels as an objective.
pub(super) struct PixelLoss<'a>(pub &'a Config);

impl Objective for PixelLoss<'_> {
    type Net = PixelHeadNet;
    type Batch = UnitBatch;

    fn network(&self) -> UNetConfig {
        network_config(self.0)
    }

    fn head(&self) -> Head {
        let network = self.network();
        let (cells, pixels) =
            (self.0.preprocess.size / network.multiple(), network.in_channels * network.multiple().pow(2));
        // The token, the linear map with its bias; the pixels before and after they are put in their place.
        Head { weights: 1 + (network.bottleneck() + 1) * pixels, activations: 2 * cells * cells * pixels }
    }

    fn build(&self, seed: u64, device: &Device) -> PixelHeadNet {
        PixelHeadNet::init(&self.network(), seed, device)
    }

    fn loss(&self, net: &PixelHeadNet, batch: &UnitBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (image, mask) = batch.on(micro.range.clone(), micro.device);
        let output = net.forward(net.mask(image.clone(), mask.clone()), self.0.training.precision);
        let value = masked_l1(output.clone(), image, mask, batch.masked);
        let parts = vec![("l1", value.clone())];
        Ok(MicroLoss { objective: micro.weighted(value.clone()), value, parts, per_slice: None, output })
    }
}

impl<'a> SimMim<'a> {
    /// # Errors
    /// A crop that mask units do not divide.
    pub fn new(config: &'a Config, session: &'a Session<'a>, slices: &'a Slices) -> Result<Self> {
        let grid = units(config.preprocess.size)?;
        let probes = PinnedPictures::new(config, session.cohort, session.run, session.pins, Stage::Pretrain);
        Ok(Self { config, session, slices, grid, probes })
    }

    /// A batch of synthetic slices.
    ///
    /// # Errors
    /// A crop that mask units do not divide.
    pub(super) fn synthetic_batch(config: &Config, slices: usize) -> Result<UnitBatch> {
        let slice = |at: u64| (synthetic_slice(config, at).pixels, [1, at]);
        Ok(UnitBatch::new(config, units(config.preprocess.size)?, (0..slices as u64).map(slice).collect()))
    }

    /// A pinned slice among those that are trained on.
    fn find(slices: &Slices, pin: &Pin) -> Result<TrainingSlice> {
        let stored = slices.find(pin).map(|slice| {
            let world_from_crop = slices.plan(slice).shifted_affine(slices.shift(slice));
            slices.window(slice).map(|window| (window, world_from_crop))
        });
        let stored = stored.transpose()?;
        Ok(TrainingSlice { trained: stored.is_some(), stored })
    }
}

impl Objective for SimMim<'_> {
    type Net = PixelHeadNet;
    type Batch = UnitBatch;

    fn network(&self) -> UNetConfig {
        PixelLoss(self.config).network()
    }

    fn head(&self) -> Head {
        PixelLoss(self.config).head()
    }

    fn build(&self, seed: u64, device: &Device) -> PixelHeadNet {
        PixelLoss(self.config).build(seed, device)
    }

    fn loss(&self, net: &PixelHeadNet, batch: &UnitBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        PixelLoss(self.config).loss(net, batch, micro)
    }
}

impl Method for SimMim<'_> {
    const STAGE: Stage = Stage::Pretrain;
    const TRANSFER: Transfer = Transfer::Encoder;

    fn dataset(&self) -> &dyn Dataset {
        self.slices
    }

    fn collate(&self, slices: &[usize], at: Position) -> Result<UnitBatch> {
        let read = |&slice: &usize| Ok((self.slices.pixels(slice)?, [at.epoch as u64, slice as u64]));
        let slices: Vec<_> = slices.par_iter().map(read).collect::<Result<_>>()?;
        Ok(UnitBatch::new(self.config, self.grid, slices))
    }

    fn after_step(&mut self, _: &mut PixelHeadNet, _: &UnitBatch, _: &StepOutput, _: Position) -> Result<Vec<Event>> {
        self.probes.admit_new(&|pin| Self::find(self.slices, pin));
        Ok(self.probes.events())
    }

    /// Reconstructs each pinned slice, masked as a training slice is.
    fn end_epoch(&mut self, net: &PixelHeadNet, at: Position) -> Result<EpochEnd> {
        self.probes.admit_new(&|pin| Self::find(self.slices, pin));
        let (net, device) = (net.valid(), &self.session.compute.device);
        let (config, grid) = (self.config, self.grid);
        let picture = |pin: &Pin, pixels: &[f32]| {
            let place = [at.epoch as u64, pin.key()];
            let batch = UnitBatch::new(config, grid, vec![(pixels.to_vec(), place)]);
            let micro = MicroBatch::whole(1, device);
            let output = StepOutput::of(PixelLoss(config).loss(&net, &batch, &micro)?, &micro)?;
            Ok(output.picture(0)?.unwrap_or_default())
        };
        self.probes.record(at.epoch, None, picture)?;
        Ok(EpochEnd { events: self.probes.events(), validation_dice: None })
    }

    fn state(&self) -> Result<Parts> {
        Ok(Vec::new())
    }

    fn restore(&mut self, resumed: &mut Resumed) -> Result<()> {
        self.probes.start(resumed.epoch, &|pin| Self::find(self.slices, pin))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        config.data.modality = vec!["pet".into()];
        config.preprocess.size = 32;
        config.network = UNetConfig { width: 2, depth: 2, ..UNetConfig::default() };
        config
    }

    #[test]
    fn every_slice_has_the_same_number_of_masked_pixels() {
        let config = config();
        // 32 px is a single unit of 32, of which one is masked; 48 px are 3 x 3 units of 16, six of them masked.
        for (size, masked) in [(32, 32 * 32), (48, 6 * 256), (160, 15 * 1024)] {
            let mut config = config.clone();
            config.preprocess.size = size;
            let batch = SimMim::synthetic_batch(&config, 3).unwrap();
            assert_eq!(batch.masked, masked, "{size}");
            for mask in &batch.pixel_masks {
                assert_eq!(mask.iter().filter(|m| **m > 0.0).count(), masked, "{size}");
            }
        }
        let batch = SimMim::synthetic_batch(&Config { preprocess: sized(48), ..config }, 2).unwrap();
        assert_ne!(batch.pixel_masks[0], batch.pixel_masks[1]);
    }

    #[test]
    fn the_memory_of_the_head_is_that_of_its_weights() {
        use burn::module::Module;
        let config = config();
        let objective = PixelLoss(&config);
        let device = Device::flex();
        let unet = objective.network().init(0, &device).num_params();
        assert_eq!(objective.build(0, &device).num_params(), unet + objective.head().weights);
        assert_eq!(objective.head().activations, 2 * 32 * 32);
    }

    fn sized(size: usize) -> crate::preprocess::PreprocessConfig {
        crate::preprocess::PreprocessConfig { size, ..Default::default() }
    }

    #[test]
    fn visible_pixels_do_not_count_and_masked_ones_do_not_reach_the_network() {
        let config = Config { preprocess: sized(48), ..config() };
        let device = Device::flex();
        let objective = PixelLoss(&config);
        let net = objective.build(1, &device);
        let loss = |change: &dyn Fn(&mut f32, f32)| {
            let mut batch = SimMim::synthetic_batch(&config, 1).unwrap();
            let mask = batch.pixel_masks[0].clone();
            batch.pixels[0].iter_mut().zip(mask).for_each(|(pixel, mask)| change(pixel, mask));
            let micro = MicroBatch::whole(1, &device);
            let output = StepOutput::of(objective.loss(&net, &batch, &micro).unwrap(), &micro).unwrap();
            (output.loss, output.picture(0).unwrap().unwrap())
        };
        let (plain, picture) = loss(&|_, _| ());
        let (shifted, same) = loss(&|pixel, mask| *pixel += 100.0 * mask);
        assert_eq!(picture, same, "a masked pixel reached the network");
        assert!((shifted - plain - 100.0).abs() < 5.0, "{plain} {shifted}");
    }
}
