//! MaskFeat (Wei et al., 2022): predicts the oriented gradients of masked cells.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::hog::{BINS, CELL, Hog, draw};
use super::{MaskedBatch, MaskedLoss, MaskedSlice, MaskedTask, constant_error, pixel_mask};
use crate::config::{Config, Family, Preset, Pretext};
use crate::masking::pattern::{BlockCounts, blocks};
use crate::model::CellHeadNet;
use crate::model::record::Transfer;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::network_config;
use crate::probe::PictureKind;
use crate::trainer::Head;
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "maskfeat",
    pretext: Pretext::MaskFeat,
    family: Family::Masked,
    what: "mask token on 40 % of the cells, in blocks; predicts oriented gradients (HOG)",
    about: "MaskFeat masks 40 % of the cells of 16 x 16 pixels, in blocks, with a mask token and predicts their \
            oriented gradients: nine bins of Sobel gradients per 8 x 8 pixels, normalised to unit length, with a \
            mean squared error. Here a linear head reads 8 x 8 pixels of the U-Net's last block, cells without a \
            gradient are excluded from the loss, and slices are not augmented. Encoder and decoder are transferred.",
    citation: "Wei et al., Masked Feature Prediction for Self-Supervised Visual Pre-Training, CVPR 2022",
};

/// Masks blocks with a token. A linear head on the last block predicts the HOG of the masked cells.
pub struct MaskFeat {
    config: Config,
    grid: PatchGrid,
    counts: BlockCounts,
}

/// Target histograms of a slice and their weights.
pub struct HogTarget {
    /// `[C * 9][S / 8][S / 8]`.
    bins: Vec<f32>,
    /// Equal on the masked cells that count, 0 elsewhere, 1 in all; `[S / 8][S / 8]`.
    weights: Vec<f32>,
}

/// Side of a mask cell in pixels: the stride of a bottleneck of depth 4.
const MASK_CELL_PX: usize = 16;

/// The mask cells of a slice.
///
/// # Errors
/// A size that they do not divide.
fn cells(config: &Config) -> Result<PatchGrid> {
    let size = config.preprocess.size;
    if size == 0 || !size.is_multiple_of(MASK_CELL_PX) {
        let why = format!("must be a multiple of {MASK_CELL_PX}, the side of a mask cell");
        return Err(Error::config("preprocess.size", size, why));
    }
    PatchGrid::new(size, size / MASK_CELL_PX)
}

impl MaskFeat {
    fn outputs(config: &Config) -> usize {
        config.data.modality.len() * BINS
    }

    fn cells(&self) -> usize {
        self.config.preprocess.size / CELL
    }
}

impl MaskedTask for MaskFeat {
    type Net = CellHeadNet;
    type Target = HogTarget;

    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const SHOWS: PictureKind = PictureKind::Gradients;

    fn errors(config: &Config) -> Vec<Error> {
        cells(config).err().into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let (size, width) = (config.preprocess.size, config.network.width);
        let outputs = Self::outputs(config);
        // Weights: token and linear map with bias. Activations: the last block cut into cells, and the map's output.
        let weights = 1 + (CELL * CELL * width + 1) * outputs;
        Head { weights, activations: size * size * width + (size / CELL).pow(2) * outputs }
    }

    fn mask_grid(config: &Config) -> usize {
        cells(config).map_or(0, |cells| cells.grid())
    }

    fn new(config: &Config) -> Result<Self> {
        let grid = cells(config)?;
        Ok(Self { config: config.clone(), grid, counts: BlockCounts::maskfeat(grid.count()) })
    }

    fn build(&self, seed: u64, device: &Device) -> CellHeadNet {
        CellHeadNet::init(&network_config(&self.config), CELL, Self::outputs(&self.config), seed, device)
    }

    fn mask(&self, _: &SliceData, key: [u64; 2]) -> Vec<f32> {
        pixel_mask(&self.grid, &blocks(self.grid.grid(), self.counts, self.config.seed, &key))
    }

    fn target(&self, data: &SliceData, mask: &[f32], _: [u64; 2]) -> HogTarget {
        let (size, cells) = (self.config.preprocess.size, self.cells());
        let Hog { bins, counts } = Hog::of(&data.pixels, size);
        let counts = |cell: usize| counts[cell] && mask[cell / cells * CELL * size + cell % cells * CELL] > 0.0;
        let counted = (0..cells * cells).filter(|cell| counts(*cell)).count();
        let weight = |cell: usize| if counts(cell) { 1.0 / counted as f32 } else { 0.0 };
        HogTarget { bins, weights: (0..cells * cells).map(weight).collect() }
    }

    /// Bin by bin, the variance of the cells that count.
    fn constant_loss(&self, slices: &[MaskedSlice<HogTarget>]) -> f64 {
        let (area, outputs) = (self.cells() * self.cells(), Self::outputs(&self.config));
        let of = |bin: usize| {
            constant_error(slices.iter().map(|s| (&s.target.bins[bin * area..][..area], s.target.weights.as_slice())))
        };
        (0..outputs).map(of).sum::<f64>() / outputs as f64
    }

    fn loss(
        &self,
        net: &CellHeadNet,
        batch: &MaskedBatch<HogTarget>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss> {
        let (cells, outputs, slices) = (self.cells(), Self::outputs(&self.config), range.len());
        let masked = net.mask(batch.images(range.clone(), device), batch.masks(range.clone(), device));
        let output = net.forward(masked, self.config.training.precision);
        let bins = batch.maps(range.clone(), [outputs, cells], |target| &target.bins, device);
        let weights = batch.maps(range, [1, cells], |target| &target.weights, device);
        let error = (output.clone() - bins).powi_scalar(2) * weights;
        let loss: Tensor<1> = error.sum() / (slices * outputs) as f64;
        // As one channel, of which the picture is made.
        let output = output.reshape([slices, 1, outputs * cells, cells]);
        Ok(MaskedLoss { loss, name: "hog", constant: None, diagnostics: Vec::new(), output })
    }

    /// The output's histograms of the first channel where cells are hidden, the slice's own elsewhere.
    fn show(&self, slice: &MaskedSlice<HogTarget>, output: Vec<f32>) -> Result<Vec<f32>> {
        let (size, cells) = (self.config.preprocess.size, self.cells());
        let hidden = |index: usize| {
            let cell = index % (cells * cells);
            slice.mask[cell / cells * CELL * size + cell % cells * CELL] > 0.0
        };
        let both = output.iter().zip(&slice.target.bins).take(BINS * cells * cells).enumerate();
        let bins: Vec<f32> =
            both.map(|(index, (predicted, own))| if hidden(index) { *predicted } else { *own }).collect();
        Ok(draw(&bins, size))
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
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<MaskedMethod<MaskFeat>>(&config());
        check_micro_batches::<MaskedMethod<MaskFeat>>(&config());
    }

    #[test]
    fn the_estimated_memory_counts_the_weights_of_the_head() {
        check_head::<MaskedMethod<MaskFeat>>(&config());
    }

    /// The target covers the whole slice: masked pixels do not reach the network, but their gradients are predicted.
    #[test]
    fn masked_pixels_affect_the_target_but_not_the_output() {
        let config = sized(48);
        let method = task::<MaskedMethod<MaskFeat>>(&config);
        let device = Device::flex();
        let net = method.build(1, &device);
        let batch = synthetic_batch(&method, &config, 1, 0).unwrap();
        let slice = &batch.slices(0..1)[0];
        let task = MaskFeat::new(&config).unwrap();
        let run = |pixels: Vec<f32>| {
            let data = SliceData { pixels: pixels.clone(), target: None, tissue: Vec::new() };
            let target = task.target(&data, &slice.mask, [1, 0]);
            let batch = MaskedBatch::new(&config, vec![MaskedSlice { pixels, mask: slice.mask.clone(), target }], 1.0);
            let micro = MicroBatch::whole(1, &device);
            let output = StepOutput::of(method.loss(&net, &batch, &micro).unwrap(), &micro).unwrap();
            (output.loss, output.picture(0).unwrap().unwrap())
        };
        let (plain, picture) = run(slice.pixels.clone());
        let wave = |(index, pixel): (usize, &f32)| pixel + slice.mask[index] * (index % 5) as f32;
        let (changed, same) = run(slice.pixels.iter().enumerate().map(wave).collect());
        assert_eq!(picture, same, "a hidden pixel reached the network");
        assert!((plain - changed).abs() > 1e-4, "{plain} {changed}");
    }
}
