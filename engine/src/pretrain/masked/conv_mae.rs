//! ConvMAE (Gao et al., 2022): masked convolutions, so that no level sees masked cells.

use std::ops::Range;

use burn::tensor::Device;

use super::normed::{NormedTarget, normed_constant_loss, normed_loss};
use super::{MaskedBatch, MaskedLoss, MaskedSlice, MaskedTask, Reconstruction, bottleneck_cells, pixel_mask};
use crate::Result;
use crate::config::{Config, Family, Preset, Pretext};
use crate::loss::{Variance, denormalise};
use crate::masking::pattern::{masked_cells, random};
use crate::model::record::Transfer;
use crate::model::{Precision, VisibleUNet};
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::network_config;
use crate::trainer::Head;

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "convmae",
    pretext: Pretext::ConvMae,
    family: Family::Masked,
    what: "masked convolutions at 75 %; predicts normalised patches",
    about: "ConvMAE masks 75 % of the cells of the coarsest level, hides them from every level of the encoder by \
            masked convolutions, and reconstructs them as normalised patches. Here the cells are those of the \
            U-Net's bottleneck, normalisation uses visible positions only, the decoder gets a mask token per level \
            through its skip connections instead of the fused stages, and nearly constant patches are excluded from \
            the loss. Only the encoder is transferred.",
    citation: "Gao et al., ConvMAE: Masked Convolution Meets Masked Autoencoders, NeurIPS 2022",
};

/// Cells hidden from every level; normalised patches through decoder and head.
pub struct ConvMae {
    config: Config,
    grid: PatchGrid,
}

impl ConvMae {
    fn hidden(&self, key: [u64; 2]) -> Vec<usize> {
        random(self.grid.count(), masked_cells(self.grid.count()), self.config.seed, &key)
    }
}

impl MaskedTask for ConvMae {
    type Net = VisibleUNet;
    type Target = NormedTarget;

    const TRANSFER: Transfer = Transfer::Encoder;
    const RECONSTRUCT: Option<Reconstruction<VisibleUNet>> = Some(|net, image, pixel_mask| {
        let input = image.clone() * (-pixel_mask.clone() + 1.0);
        let [_, _, size, _] = image.dims();
        let output = net.forward(image.clone(), pixel_mask, Precision::F32);
        [input, denormalise(output, image, size / net.multiple(), Variance::Unbiased)]
    });

    fn head(config: &Config) -> Head {
        let network = network_config(config);
        // One token per level. The masks and filled features of each level add to the U-Net's activations.
        let weights = (0..=network.depth).map(|level| network.width << level).sum();
        let pixels = config.preprocess.size * config.preprocess.size;
        let activations = (0..=network.depth).map(|level| 4 * (network.width << level) * (pixels >> (2 * level))).sum();
        Head { weights, activations }
    }

    fn mask_grid(config: &Config) -> usize {
        bottleneck_cells(config).map_or(0, |cells| cells.grid())
    }

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.clone(), grid: bottleneck_cells(config)? })
    }

    fn build(&self, seed: u64, device: &Device) -> VisibleUNet {
        VisibleUNet::init(&network_config(&self.config), seed, device)
    }

    fn mask(&self, _: &SliceData, key: [u64; 2]) -> Vec<f32> {
        pixel_mask(&self.grid, &self.hidden(key))
    }

    fn target(&self, data: &SliceData, _: &[f32], key: [u64; 2]) -> NormedTarget {
        NormedTarget::of(&self.grid, &data.pixels, &self.hidden(key), Variance::Unbiased)
    }

    fn constant_loss(&self, slices: &[MaskedSlice<NormedTarget>]) -> f64 {
        normed_constant_loss(slices, |target| target)
    }

    fn loss(
        &self,
        net: &VisibleUNet,
        batch: &MaskedBatch<NormedTarget>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss> {
        let (image, mask) = (batch.images(range.clone(), device), batch.masks(range.clone(), device));
        let output = net.forward(image, mask, self.config.training.precision);
        Ok(normed_loss(batch, range, |target| target, output, device))
    }

    fn show(&self, slice: &MaskedSlice<NormedTarget>, output: Vec<f32>) -> Result<Vec<f32>> {
        slice.target.undo(output, &slice.pixels)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::masked::MaskedMethod;
    use crate::pretrain::testing::{check_gradient, check_head, check_micro_batches, config, sized};

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<MaskedMethod<ConvMae>>(&sized(64));
        check_micro_batches::<MaskedMethod<ConvMae>>(&config());
    }

    #[test]
    fn three_quarters_of_the_cells_are_hidden() {
        for (size, hidden) in [(160, 75), (144, 61), (96, 27), (32, 3)] {
            let task = ConvMae::new(&sized(size)).unwrap();
            assert_eq!(task.hidden([1, 2]).len(), hidden, "{size}");
        }
    }

    #[test]
    fn the_estimated_memory_counts_the_mask_tokens() {
        check_head::<MaskedMethod<ConvMae>>(&config());
    }
}
