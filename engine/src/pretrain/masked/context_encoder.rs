//! Context encoder (Pathak et al., 2016): predicts the centre of a slice from its surroundings.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::{MaskedBatch, MaskedLoss, MaskedSlice, MaskedTask, Reconstruction, constant_error};
use crate::config::{Config, Family, Preset, Pretext};
use crate::model::record::Transfer;
use crate::model::{MaskInput, MaskedUNet, Precision};
use crate::preprocess::SliceData;
use crate::pretrain::network_config;
use crate::trainer::Head;
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "context-encoder",
    pretext: Pretext::ContextEncoder,
    family: Family::Related,
    what: "masked centre square; L2 loss with ten times the weight on its rim",
    about: "The context encoder masks a centre square of half the slice's side, except for a rim of 4 pixels, and \
            reconstructs the square, with ten times the weight on the rim so that the border is seamless. Here a \
            U-Net with skip connections replaces the bottleneck network, and the adversarial loss, with a weight of \
            .001 in the original, is omitted. Encoder and decoder are transferred.",
    citation: "Pathak et al., Context Encoders: Feature Learning by Inpainting, CVPR 2016",
};

/// Width of the rim, which is visible and reconstructed, in pixels.
const RIM: usize = 4;
/// Weight of an error on the rim.
const RIM_WEIGHT: f32 = 10.0;

/// Masks the centre square except for its rim; L2 loss on the U-Net's output.
pub struct ContextEncoder {
    config: Config,
    /// 1 on hidden pixels, `[S][S]`.
    hidden: Vec<f32>,
    /// Error weights, `[S][S]`: 1 over the number of the square's pixels, ten times that on its rim.
    weights: Vec<f32>,
}

impl ContextEncoder {
    fn weights_on(&self, slices: usize, device: &Device) -> Tensor<4> {
        let size = self.config.preprocess.size;
        let one = Tensor::<1>::from_floats(self.weights.as_slice(), device).reshape([1, 1, size, size]);
        one.repeat_dim(0, slices)
    }
}

impl MaskedTask for ContextEncoder {
    type Net = MaskedUNet;
    type Target = ();

    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const RECONSTRUCT: Option<Reconstruction<MaskedUNet>> = Some(|net, image, pixel_mask| {
        let input = net.mask(image, pixel_mask.clone(), None);
        [input.clone(), net.forward(input, pixel_mask, Precision::F32)]
    });

    fn errors(config: &Config) -> Vec<Error> {
        let size = config.preprocess.size;
        let why = format!("must be above {}, so that the square has more than a rim", 4 * RIM);
        (size <= 4 * RIM).then(|| Error::config("preprocess.size", size, why)).into_iter().collect()
    }

    fn head(_: &Config) -> Head {
        Head::default()
    }

    fn new(config: &Config) -> Result<Self> {
        let size = config.preprocess.size;
        let side = size / 2;
        // Pixels of the square by their distance from its edge, from 0; `None` outside.
        let depth = |pixel: usize| {
            let from_start = |offset: usize| offset.checked_sub((size - side) / 2).filter(|offset| *offset < side);
            let [row, column] = [from_start(pixel / size)?, from_start(pixel % size)?];
            [row, side - 1 - row, column, side - 1 - column].into_iter().min()
        };
        let all = || (0..size * size).map(depth);
        let hidden = all().map(|depth| f32::from(u8::from(depth.is_some_and(|depth| depth >= RIM)))).collect();
        let pixels = (side * side) as f32;
        let weight = |depth: Option<usize>| match depth {
            None => 0.0,
            Some(depth) => {
                if depth < RIM {
                    RIM_WEIGHT / pixels
                } else {
                    1.0 / pixels
                }
            }
        };
        Ok(Self { config: config.clone(), hidden, weights: all().map(weight).collect() })
    }

    fn build(&self, seed: u64, device: &Device) -> MaskedUNet {
        MaskedUNet::init(&network_config(&self.config), MaskInput::default(), seed, device)
    }

    fn mask(&self, _: &SliceData, _: [u64; 2]) -> Vec<f32> {
        self.hidden.clone()
    }

    fn target(&self, _: &SliceData, _: &[f32], _: [u64; 2]) {}

    fn constant_loss(&self, slices: &[MaskedSlice<()>]) -> f64 {
        constant_error(slices.iter().map(|slice| (slice.pixels.as_slice(), self.weights.as_slice())))
    }

    fn loss(
        &self,
        net: &MaskedUNet,
        batch: &MaskedBatch<()>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss> {
        let (slices, channels) = (range.len(), self.config.data.modality.len());
        let (image, mask) = (batch.images(range.clone(), device), batch.masks(range, device));
        let input = net.mask(image.clone(), mask.clone(), None);
        let output = net.forward(input, mask, self.config.training.precision);
        let error = (output.clone() - image).powi_scalar(2) * self.weights_on(slices, device);
        let loss = error.sum() / (slices * channels) as f64;
        Ok(MaskedLoss { loss, name: "l2", constant: None, diagnostics: Vec::new(), output })
    }

    /// The output inside the square, the slice around it.
    fn show(&self, slice: &MaskedSlice<()>, output: Vec<f32>) -> Result<Vec<f32>> {
        let both = output.iter().zip(&slice.pixels).zip(&self.weights);
        Ok(both.map(|((output, pixel), weight)| if *weight > 0.0 { *output } else { *pixel }).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::masked::MaskedMethod;
    use crate::pretrain::testing::{check_gradient, check_micro_batches, config, sized};

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<MaskedMethod<ContextEncoder>>(&config());
        check_micro_batches::<MaskedMethod<ContextEncoder>>(&config());
    }

    /// At 160 pixels 72 x 72 of 80 x 80 are hidden, and an error of 1 everywhere is (5184 + 10 * 1216) / 6400.
    #[test]
    fn errors_count_ten_times_on_the_rim() {
        let task = ContextEncoder::new(&sized(160)).unwrap();
        assert_eq!(task.hidden.iter().filter(|hidden| **hidden > 0.0).count(), 5184);
        assert_eq!(task.weights.iter().filter(|weight| **weight > 0.0).count(), 6400);
        let sum: f64 = task.weights.iter().map(|weight| f64::from(*weight)).sum();
        assert!((sum - 2.71).abs() < 1e-4, "{sum}");
        // The square lies in the middle: its first hidden pixel is 40 + 4 from the top left.
        assert_eq!(task.hidden.iter().position(|hidden| *hidden > 0.0), Some(44 * 160 + 44));
        assert!(ContextEncoder::errors(&sized(16))[0].to_string().contains("above 16"));
    }
}
