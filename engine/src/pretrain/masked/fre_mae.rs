//! FreMAE (Wang et al., 2023): predicts the spectrum of a slice from its visible pixels.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::{MaskedBatch, MaskedLoss, MaskedSlice, MaskedTask};
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::device::Compute;
use crate::loss::{Band, Spectrum, patch_features};
use crate::masking::pattern::random;
use crate::model::record::Transfer;
use crate::model::{FUSION_LEVELS, FusionNet, read_values};
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::network_config;
use crate::trainer::Head;
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "fremae",
    pretext: Pretext::FreMae,
    family: Family::Related,
    what: "mask token on 25 % of the tissue; predicts high and low spatial frequencies",
    about: "FreMAE masks 25 % of the foreground pixels with a mask token and predicts the spectrum of the slice: \
            high frequencies from a path that joins the encoder's levels up to the finest, low frequencies from a \
            path down to the coarsest, with squared errors weighted by their logarithm. Here the foreground is the \
            slice's tissue, the paths read the first four levels of the U-Net, and the original's learned spectral \
            maps are omitted. Only the encoder is transferred.",
    citation: "Wang et al., FreMIM: Fourier Transform Meets Masked Image Modeling for Medical Image Segmentation, 2023 \
               (arXiv 2304.10864)",
};

const SHARE: Number = Number {
    name: "masked_share",
    default: 0.25,
    range: [0.01, 0.9],
    what: "fraction of the tissue's pixels that is hidden",
};
const LOW_WEIGHT: Number =
    Number { name: "low_weight", default: 1.3, range: [0.0, 100.0], what: "weight of the low frequencies" };
const HALF_WIDTH: Number = Number {
    name: "half_width",
    default: 0.078,
    range: [0.01, 0.125],
    what: "half-width of the square of low frequencies, over the slice's side",
};

/// Masks pixels of tissue with a token. Predicts high frequencies at the slice's size, and low ones at a quarter of it.
pub struct FreMae {
    config: Config,
}

impl FreMae {
    /// The high frequencies at full size, and the low ones at a quarter of it.
    fn spectra(&self, device: &Device) -> [Spectrum; 2] {
        let size = self.config.preprocess.size;
        let half_width = HALF_WIDTH.of(&self.config) * size as f64;
        [Spectrum::new(size, Band::High, half_width, device), Spectrum::new(size / 4, Band::Low, half_width, device)]
    }
}

impl MaskedTask for FreMae {
    type Net = FusionNet;
    type Target = ();

    const TRANSFER: Transfer = Transfer::Encoder;
    const NUMBERS: &'static [Number] = &[SHARE, LOW_WEIGHT, HALF_WIDTH];

    fn errors(config: &Config) -> Vec<Error> {
        let depth = config.network.depth;
        let why =
            format!("must be at least {FUSION_LEVELS}: the spectrum is read from the first {FUSION_LEVELS} levels");
        (depth < FUSION_LEVELS).then(|| Error::config("network.depth", depth, why)).into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let network = network_config(config);
        let area = config.preprocess.size * config.preprocess.size;
        // Each fusion keeps its input, convolution, norm and output: nine times the level's channels, on either path.
        let of_level = |level: usize| 2 * 9 * (network.width << level) * (area >> (2 * level));
        // The two products of a difference with each table, their squares and weights.
        let spectra = 12 * network.out_channels * (area + area / 16);
        let activations = (0..FUSION_LEVELS).map(of_level).sum::<usize>() + spectra;
        Head { weights: FusionNet::parameters(&network), activations }
    }

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.clone() })
    }

    fn build(&self, seed: u64, device: &Device) -> FusionNet {
        FusionNet::init(&network_config(&self.config), seed, device)
    }

    /// Masks the fraction of the tissue's pixels, rounded down.
    fn mask(&self, data: &SliceData, key: [u64; 2]) -> Vec<f32> {
        let tissue: Vec<usize> = (0..data.tissue.len()).filter(|pixel| data.tissue[*pixel]).collect();
        let hidden = (tissue.len() as f64 * SHARE.of(&self.config) + 1e-9) as usize;
        let mut mask = vec![0.0; data.tissue.len()];
        random(tissue.len(), hidden, self.config.seed, &key).into_iter().for_each(|index| mask[tissue[index]] = 1.0);
        mask
    }

    fn target(&self, _: &SliceData, _: &[f32], _: [u64; 2]) {}

    fn loss(
        &self,
        net: &FusionNet,
        batch: &MaskedBatch<()>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss> {
        let (size, spectra) = (self.config.preprocess.size, self.spectra(device));
        let (slices, area) = (range.len(), size * size);
        let (image, mask) = (batch.images(range.clone(), device), batch.masks(range, device));
        let [high, low] = net.forward(net.mask(image.clone(), mask), self.config.training.precision);
        let small = patch_features(image.clone(), size / 4);
        let weight = LOW_WEIGHT.of(&self.config);
        let sum = |[of_high, of_low]: [_; 2]| {
            let [high, low] = [spectra[0].error(&of_high), spectra[1].error(&of_low)];
            (high.clone() + low.clone() * weight, high, low)
        };
        // The first channel of both, of which the picture is made.
        let first = |x: &Tensor<4>, n: usize| x.clone().detach().narrow(1, 0, 1).reshape([slices, 1, n, 1]);
        let output = Tensor::cat(vec![first(&high, area), first(&low, area / 16)], 2);
        let (loss, of_high, of_low) = sum([high - image.clone(), low - small.clone()]);
        // A constant has only the zero frequency, so the batch mean is the best constant.
        let (constant, _, _) = sum([image, small - mean(batch)]);
        let diagnostics = vec![("high_error", of_high.detach()), ("low_error", of_low.detach())];
        Ok(MaskedLoss { loss, name: "spectrum", constant: Some(constant), diagnostics, output })
    }

    /// The frequencies that the loss reads, from either path.
    fn show(&self, _: &MaskedSlice<()>, mut output: Vec<f32>) -> Result<Vec<f32>> {
        let (size, device) = (self.config.preprocess.size, Compute::cpu().device);
        let low = output.split_off(size * size);
        let part = |pixels: Vec<f32>, side: usize, spectrum: &Spectrum| {
            let image = Tensor::from_data(TensorData::new(pixels, [1, 1, side, side]), &device);
            read_values::<4, f32>(spectrum.filtered(&image), "reading a picture")
        };
        let [of_high, of_low] = self.spectra(&device);
        let low = PatchGrid::new(size, size / 4)?.spread(&part(low, size / 4, &of_low)?);
        Ok(part(output, size, &of_high)?.into_iter().zip(low).map(|(high, low)| high + low).collect())
    }
}

/// The mean of a batch's pixels.
fn mean(batch: &MaskedBatch<()>) -> f64 {
    let slices = batch.slices(0..batch.len());
    let sum: f64 = slices.iter().flat_map(|slice| &slice.pixels).map(|pixel| f64::from(*pixel)).sum();
    sum / slices.iter().map(|slice| slice.pixels.len()).sum::<usize>().max(1) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::module::Module;

    use super::*;
    use crate::loss::spectrum_weights as weights;
    use crate::pretrain::masked::MaskedMethod;
    use crate::pretrain::testing::{check_micro_batches, check_slope, config};

    /// The error weights are constant within a step: the slope is that of the loss with the initial weights.
    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        let (size, device) = (32, Device::flex().autodiff());
        let spectra = [(size, Band::High), (size / 4, Band::Low)]
            .map(|(side, band)| Spectrum::new(side, band, 0.078 * 32.0, &device));
        let powers = |net: &FusionNet, batch: &MaskedBatch<()>| {
            let all = 0..batch.len();
            let (image, mask) = (batch.images(all.clone(), &device), batch.masks(all, &device));
            let [high, low] = net.forward(net.mask(image.clone(), mask), crate::model::Precision::F32);
            [spectra[0].power(&(high - image.clone())), spectra[1].power(&(low - patch_features(image, 8)))]
        };
        let start = std::cell::OnceCell::new();
        check_slope::<MaskedMethod<FreMae>>(&config(), |net, batch| {
            let powers = powers(net, batch);
            let weights: &[_; 2] = start.get_or_init(|| powers.clone().map(weights));
            let [high, low] = [0, 1].map(|index| (powers[index].clone() * weights[index].clone()).mean());
            high + low * 1.3
        });
        check_micro_batches::<MaskedMethod<FreMae>>(&config());
    }

    /// The picture was the path of high frequencies, whose low ones are arbitrary. A constant has low ones only, a checkerboard
    /// high ones only, each in one of the paths.
    #[test]
    fn the_picture_has_the_frequencies_of_either_path() {
        let task = FreMae::new(&config()).unwrap();
        let slice = MaskedSlice { pixels: Vec::new(), mask: Vec::new(), target: () };
        let checkers = |index: usize| if (index / 32 + index % 32).is_multiple_of(2) { 1.0 } else { -1.0 };
        let high: Vec<f32> = (0..32 * 32).map(|index| checkers(index) + 7.0).collect();
        let picture = task.show(&slice, [high, vec![2.0; 8 * 8]].concat()).unwrap();
        assert!(picture.iter().enumerate().all(|(index, v)| (v - checkers(index) - 2.0).abs() < 1e-3), "{picture:?}");
    }

    #[test]
    fn a_quarter_of_the_tissue_pixels_is_masked() {
        let task = FreMae::new(&config()).unwrap();
        let data = crate::pretrain::synthetic_slice(&config(), 3);
        let tissue = data.tissue.iter().filter(|tissue| **tissue).count();
        let mask = task.mask(&data, [1, 2]);
        let hidden: Vec<usize> = (0..mask.len()).filter(|index| mask[*index] > 0.0).collect();
        assert!(
            hidden.len() == tissue / 4 && hidden.iter().all(|index| data.tissue[*index]),
            "{} of {tissue}",
            hidden.len()
        );
        assert_ne!(mask, task.mask(&data, [2, 2]));
    }

    #[test]
    fn the_estimated_memory_counts_the_weights_of_the_head() {
        let device = Device::flex();
        let unet = network_config(&config()).init(0, &device).num_params();
        // Batch norm's parameter count includes its running statistics, which are not trained.
        let running = 2 * (2 + 4 + 8 + 4 + 8 + 16);
        let net = FreMae::new(&config()).unwrap().build(0, &device);
        assert_eq!(net.num_params() - running, unet + FreMae::head(&config()).weights);
        let mut flat = config();
        flat.network.depth = 3;
        assert!(FreMae::errors(&flat)[0].to_string().contains("network.depth = 3"));
    }
}
