//! UM-MAE (Li et al., 2022): uniform masks with secondary masking of visible patches.

use std::ops::Range;

use burn::tensor::Device;

use super::normed::{NormedTarget, normed_constant_loss, normed_loss};
use super::{MaskedBatch, MaskedLoss, MaskedSlice, MaskedTask, PATCHES, Reconstruction, pixel_mask};
use crate::config::{Config, Family, Preset, Pretext};
use crate::loss::{Variance, denormalise};
use crate::masking::pattern::{random, uniform};
use crate::model::record::Transfer;
use crate::model::{MaskInput, MaskedUNet, Precision, TopSkip};
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::network_config;
use crate::trainer::Head;
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "um-mae",
    pretext: Pretext::UmMae,
    family: Family::Related,
    what: "one visible patch in each 2 x 2, a quarter of them behind a mask token",
    about: "UM-MAE keeps one patch visible in each 2 x 2, masks a quarter of the visible patches again with a mask \
            token, and reconstructs the masked 75 % as normalised patches. Here masked patches are set to 0 in a 16 \
            x 16 grid under a U-Net, so the original's speed-up from packing visible patches together is lost, and \
            nearly constant patches are excluded from the loss. Encoder and decoder are transferred.",
    citation: "Li et al., Uniform Masking: Enabling MAE Pre-training for Pyramid-based Vision Transformers with Locality, 2022 \
               (arXiv 2205.10063)",
};

/// Uniform masks; normalised patches through the U-Net's own head.
pub struct UmMae {
    config: Config,
    grid: PatchGrid,
}

/// Mask and target of a slice.
pub struct UniformTarget {
    normed: NormedTarget,
    /// 1 on visible patches that take the token, `[S][S]`.
    token: Vec<f32>,
}

impl UmMae {
    /// Hidden patches, and the quarter of the visible ones that take the token.
    fn patches(&self, key: [u64; 2]) -> (Vec<usize>, Vec<usize>) {
        let hidden = uniform(PATCHES, self.config.seed, &key);
        let visible: Vec<usize> = (0..self.grid.count()).filter(|patch| hidden.binary_search(patch).is_err()).collect();
        let again = random(visible.len(), visible.len() / 4, self.config.seed, &key);
        (hidden, again.into_iter().map(|index| visible[index]).collect())
    }
}

impl MaskedTask for UmMae {
    type Net = MaskedUNet;
    type Target = UniformTarget;

    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const RECONSTRUCT: Option<Reconstruction<MaskedUNet>> = Some(|net, image, pixel_mask| {
        let input = image.clone() * (-pixel_mask.clone() + 1.0);
        let output = net.forward(input.clone(), pixel_mask, Precision::F32);
        [input, denormalise(output, image, PATCHES, Variance::Unbiased)]
    });

    fn errors(config: &Config) -> Vec<Error> {
        patches(config).err().into_iter().collect()
    }

    fn head(_: &Config) -> Head {
        Head { weights: 1, activations: 0 }
    }

    fn mask_grid(_: &Config) -> usize {
        PATCHES
    }

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.clone(), grid: patches(config)? })
    }

    fn build(&self, seed: u64, device: &Device) -> MaskedUNet {
        let input = MaskInput { token: true, channel: false, top_skip: TopSkip::Keep };
        MaskedUNet::init(&network_config(&self.config), input, seed, device)
    }

    fn mask(&self, _: &SliceData, key: [u64; 2]) -> Vec<f32> {
        pixel_mask(&self.grid, &self.patches(key).0)
    }

    fn target(&self, data: &SliceData, _: &[f32], key: [u64; 2]) -> UniformTarget {
        let (hidden, again) = self.patches(key);
        let normed = NormedTarget::of(&self.grid, &data.pixels, &hidden, Variance::Unbiased);
        UniformTarget { normed, token: pixel_mask(&self.grid, &again) }
    }

    fn constant_loss(&self, slices: &[MaskedSlice<UniformTarget>]) -> f64 {
        normed_constant_loss(slices, |target| &target.normed)
    }

    fn loss(
        &self,
        net: &MaskedUNet,
        batch: &MaskedBatch<UniformTarget>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss> {
        let hidden = batch.masks(range.clone(), device);
        let visible = batch.images(range.clone(), device) * (-hidden.clone() + 1.0);
        let token = batch.maps(range.clone(), [1, self.grid.size()], |target| &target.token, device);
        let output = net.forward(net.mask(visible, token, None), hidden, self.config.training.precision);
        Ok(normed_loss(batch, range, |target| &target.normed, output, device))
    }

    fn show(&self, slice: &MaskedSlice<UniformTarget>, output: Vec<f32>) -> Result<Vec<f32>> {
        slice.target.normed.undo(output, &slice.pixels)
    }
}

/// The 16 x 16 patches of a slice.
fn patches(config: &Config) -> Result<PatchGrid> {
    PatchGrid::new(config.preprocess.size, PATCHES)
        .map_err(|_| Error::config("preprocess.size", config.preprocess.size, "must be a multiple of 16"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::masked::MaskedMethod;
    use crate::pretrain::synthetic::synthetic_batch;
    use crate::pretrain::testing::{check_gradient, check_head, check_micro_batches, config, task};
    use crate::trainer::Objective;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<MaskedMethod<UmMae>>(&config());
        check_micro_batches::<MaskedMethod<UmMae>>(&config());
    }

    /// 48 patches are visible, 16 are under the token, 192 are hidden; the three sets are disjoint.
    #[test]
    fn patches_are_visible_under_the_token_or_hidden() {
        let task = UmMae::new(&config()).unwrap();
        for slice in 0..20 {
            let (hidden, again) = task.patches([1, slice]);
            assert_eq!((256 - hidden.len() - again.len(), again.len(), hidden.len()), (48, 16, 192));
            assert!(again.iter().all(|patch| !hidden.contains(patch)));
        }
    }

    /// Neither hidden pixels nor those under the token reach the network.
    #[test]
    fn only_visible_patches_reach_the_network() {
        let config = config();
        let method = task::<MaskedMethod<UmMae>>(&config);
        let device = Device::flex();
        let net = method.build(1, &device);
        let (mut batch, task) = (synthetic_batch(&method, &config, 1, 0).unwrap(), UmMae::new(&config).unwrap());
        let output = |batch: &MaskedBatch<UniformTarget>| {
            crate::test_tensors::values(task.loss(&net, batch, 0..1, &device).unwrap().output)
        };
        let plain = output(&batch);
        let slice = batch.slices_mut().first_mut().unwrap();
        let covered: Vec<bool> = slice.mask.iter().zip(&slice.target.token).map(|(a, b)| a + b > 0.0).collect();
        assert_eq!(covered.iter().filter(|covered| **covered).count(), (192 + 16) * 4);
        slice.pixels.iter_mut().zip(&covered).filter(|(_, covered)| **covered).for_each(|(pixel, _)| *pixel += 7.0);
        assert_eq!(output(&batch), plain, "a covered pixel reached the network");
        let slice = batch.slices_mut().first_mut().unwrap();
        slice.pixels.iter_mut().for_each(|pixel| *pixel += 1.0);
        assert_ne!(output(&batch), plain);
    }

    #[test]
    fn the_head_adds_only_the_token() {
        check_head::<MaskedMethod<UmMae>>(&config());
    }
}
