//! `BootMAE` (Dong et al., 2022): predicts pixels and the features of a teacher that sees the whole slice.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::teacher::{TEACHER, constant, teacher_on};
use super::{
    CONSTANT_LOSS, MaskedBatch, MaskedReconstructor, MaskedSlice, bottleneck_cells, constant_error, warn_of_loss,
};
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::event::EpochSummary;
use crate::loss::{NormalisedPatches, Variance, denormalise, patch_errors, weighted_mean};
use crate::masking::pattern::{BlockCounts, blocks};
use crate::model::record::Transfer;
use crate::model::{Ema, MlpShape, Norm, Precision, PredictorNet, Trace, capped_decay, cell_rows, read_values};
use crate::patch::PatchGrid;
use crate::pretrain::network_config;
use crate::pretrain::task::{Picture, PretextTask, Reconstruct, Sample, TaskSetup};
use crate::pretrain::tensors::rows;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::{Head, MicroBatch, MicroLoss, Objective, Parts, Position, StepOutput};
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "bootmae",
    pretext: Pretext::BootMae,
    family: Family::Masked,
    what: "block-wise masks at 75 %; predicts pixels and features of a moving average",
    about: "BootMAE masks 75 % of the bottleneck's cells in blocks and predicts their normalised pixels and the \
            features that a moving average of the network computes from the whole slice. Here masked pixels are set \
            to 0, the features are those of the bottleneck, through an MLP without cross-attention, errors inside a \
            masked area count up to twice, and the feature loss ramps up over the first quarter of the epochs. \
            Encoder and decoder are transferred.",
    citation: "Dong et al., Bootstrapped Masked Autoencoders for Vision BERT Pretraining, ECCV 2022",
};

/// Weight of the feature loss after its ramp.
const FEATURE_WEIGHT: Number = Number {
    name: "feature_weight",
    default: 1.0,
    range: [0.0, 100.0],
    what: "weight of the feature loss after a quarter of the epochs",
};

/// Added to the variance of a cell's features.
const MIN_VARIANCE: f64 = 1e-5;
/// SD of the targets over the cells below which the teacher has collapsed; that of independent cells is 1.
const MIN_SD: f64 = 0.1;
const TARGET_SD: &str = "target_sd";

/// The teacher's decay in epoch `e` (from 0) of `epochs`: from .999 to .9999 in an eighth of the epochs, to .99999 in half.
pub(super) fn decay(e: usize, epochs: usize) -> f64 {
    let done = e as f64 / epochs.max(1) as f64;
    if done < 0.125 { 0.999 + 0.0009 * done / 0.125 } else { 0.9999 + 0.000_09 * ((done - 0.125) / 0.375).min(1.0) }
}

/// Weight of the feature loss in epoch `e` (from 0) of `epochs`.
fn feature_weight(e: usize, epochs: usize) -> f64 {
    (4.0 * (e + 1) as f64 / epochs.max(1) as f64).min(1.0)
}

/// `1 + pool3 m` of each cell of a mask `[side][side]`: `pool3` is the mean over the 3 x 3 cells around it, 0 outside the slice.
fn emphasis(masked: &[bool], side: usize) -> Vec<f32> {
    let weight = |row: usize, column: usize| {
        let near = |k: usize| k.saturating_sub(1)..(k + 2).min(side);
        let cells = near(row).flat_map(|i| near(column).map(move |j| i * side + j));
        1.0 + cells.filter(|&cell| masked[cell]).count() as f32 / 9.0
    };
    (0..side * side).map(|cell| weight(cell / side, cell % side)).collect()
}

/// Rows with mean 0 and variance 1, `[n, D]`.
fn layer_norm(rows: Tensor<2>) -> Tensor<2> {
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + MIN_VARIANCE).sqrt()
}

/// Target of a slice.
pub(crate) struct BootTarget {
    pixels: NormalisedPatches,
    /// Weights of the cells' pixels and features, `[N]` each.
    weights: [Vec<f32>; 2],
    flat: f64,
}

/// The pixel loss of the best constant output, mean over the slices.
fn constant_pixel_loss(cells: &PatchGrid, slices: &[MaskedSlice<BootTarget>]) -> f64 {
    let area = (cells.side() * cells.side()) as f32;
    let of_pixels = |slice: &MaskedSlice<BootTarget>| {
        cells.spread(&slice.target.weights[0].iter().map(|weight| weight / area).collect::<Vec<_>>())
    };
    let weights: Vec<Vec<f32>> = slices.iter().map(of_pixels).collect();
    let both = slices.iter().zip(&weights);
    constant_error(both.map(|(slice, weights)| (slice.target.pixels.pixels.as_slice(), weights.as_slice())))
}

/// A batch and the weight of the feature loss in its epoch.
pub(crate) struct BootBatch {
    masked: MaskedBatch<BootTarget>,
    feature_weight: f64,
}

/// A pre-training run with `BootMAE`.
pub(crate) struct BootMae {
    config: Config,
    cells: PatchGrid,
    steps: usize,
    teacher: Ema<PredictorNet>,
}

/// MLP(d, d, d). Without norms in the network it has none, so that micro-batches add up exactly.
fn predictor(config: &Config) -> MlpShape {
    let d = network_config(config).bottleneck();
    MlpShape { hidden_norm: config.network.norm != Norm::None, ..MlpShape::new(d, d, d) }
}

fn network(config: &Config, seed: u64, device: &Device) -> PredictorNet {
    PredictorNet::init(&network_config(config), predictor(config), seed, device)
}

impl BootMae {
    fn batch(&self, samples: Vec<Sample>, position: Position) -> BootBatch {
        let (n, channels) = (self.cells.count(), self.config.data.modality.len());
        let side = self.cells.grid();
        let slice = |sample: Sample| {
            let key = sample.stream_key(position);
            let mut masked = vec![false; n];
            blocks(side, BlockCounts::bootmae(n), self.config.seed, &key)
                .into_iter()
                .for_each(|cell| masked[cell] = true);
            let pixels = NormalisedPatches::of(&self.cells, &sample.data.pixels, channels, Variance::Biased);
            let emphasis = emphasis(&masked, side);
            let emphasised = |weights: Vec<f32>| weights.iter().zip(&emphasis).map(|(w, e)| w * e).collect();
            let share = 1.0 / masked.iter().filter(|masked| **masked).count().max(1) as f32;
            let features = masked.iter().map(|masked| if *masked { share } else { 0.0 }).collect();
            let weights = [emphasised(pixels.weights(&masked)), emphasised(features)];
            let mask: Vec<f32> = masked.iter().map(|masked| f32::from(u8::from(*masked))).collect();
            let target = BootTarget { flat: pixels.flat_share(&masked), pixels, weights };
            MaskedSlice { pixels: sample.data.pixels, mask: self.cells.spread(&mask), target }
        };
        let slices: Vec<_> = samples.into_par_iter().map(slice).collect();
        let constant_loss = constant_pixel_loss(&self.cells, &slices);
        let weight = FEATURE_WEIGHT.of(&self.config) * feature_weight(position.epoch - 1, position.epochs);
        BootBatch { masked: MaskedBatch::new(&self.config, slices, constant_loss), feature_weight: weight }
    }
}

impl Objective for BootMae {
    type Net = PredictorNet;
    type Batch = BootBatch;

    fn build(&self, seed: u64, device: &Device) -> PredictorNet {
        network(&self.config, seed, device)
    }

    /// Each slice's two losses are `sum m (1 + pool3 m) error^2 / sum m` over its cells.
    fn loss(&self, net: &PredictorNet, batch: &BootBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (range, device, precision) = (micro.range.clone(), micro.device, self.config.training.precision);
        let (masked, size) = (&batch.masked, self.cells.size());
        let (image, mask) = (masked.images(range.clone(), device), masked.masks(range.clone(), device));
        let trace = net.trace(image.clone() * (-mask + 1.0), precision);

        let shape = [image.dims()[1], size];
        let target = masked.maps(range.clone(), shape, |target| &target.pixels.pixels, device);
        let weights =
            |k: usize| rows(masked.slices(range.clone()).iter().map(|slice| &slice.target.weights[k]), device);
        let errors = patch_errors(trace.output.clone(), target, self.cells.grid());
        let pixel = weighted_mean(errors, weights(0));

        let whole = if device.is_autodiff() { image.inner() } else { image };
        let target = layer_norm(cell_rows(teacher_on(&self.teacher, device).bottleneck(whole, precision)));
        let spread = spread_over_rows(target.clone());
        let difference = layer_norm(net.predict(cell_rows(trace.bottleneck))) - constant(target, device);
        let errors = (difference.clone() * difference).mean_dim(1).reshape([range.len(), self.cells.count()]);
        let feature = weighted_mean(errors, weights(1));

        let value = pixel.clone() + feature.clone() * batch.feature_weight;
        let flat = masked.slices(range.clone()).iter().map(|slice| slice.target.flat).sum::<f64>() / range.len() as f64;
        let [flat, best] = [flat, masked.constant_loss()].map(|value| Tensor::from_floats([value as f32], device));
        Ok(MicroLoss {
            objective: micro.weighted(value.clone()),
            value,
            parts: vec![("pixel", pixel), ("feature", feature)],
            diagnostics: vec![(TARGET_SD, constant(spread, device)), ("flat_share", flat), (CONSTANT_LOSS, best)],
            per_slice: None,
            output: trace.output,
        })
    }
}

impl PretextTask for BootMae {
    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const NUMBERS: &'static [Number] = &[FEATURE_WEIGHT];

    fn errors(config: &Config) -> Vec<Error> {
        bottleneck_cells(config).err().into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let (network, predictor) = (network_config(config), predictor(config));
        let cells = (config.preprocess.size / network.multiple()).pow(2);
        // The teacher has weights but no gradient and no moments: a quarter of the memory of a trained weight.
        let teacher = (network.parameters() + predictor.parameters()) / 4;
        let pixels = network.in_channels * config.preprocess.size.pow(2);
        Head { weights: predictor.parameters() + teacher, activations: 6 * cells * network.bottleneck() + 2 * pixels }
    }

    fn mask_grid(config: &Config) -> usize {
        bottleneck_cells(config).map_or(0, |cells| cells.grid())
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config.clone();
        let teacher = Ema::new(&network(&config, config.seed, setup.device));
        Ok(Self { cells: bottleneck_cells(&config)?, steps: setup.length.steps, teacher, config })
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<BootBatch> {
        Ok(self.batch(samples, position))
    }

    fn after_step(&mut self, net: &mut PredictorNet, _: &BootBatch, _: &StepOutput, position: Position) -> Result<()> {
        self.teacher.update(net, capped_decay(decay(position.epoch - 1, position.epochs), self.steps));
        Ok(())
    }

    fn diagnose(&mut self, position: Position, summary: &mut EpochSummary) {
        let pixel = summary.parts.as_ref().and_then(|parts| parts.get("pixel"));
        if let (Some(best), Some(pixel)) = (summary.diagnostics.take(CONSTANT_LOSS), pixel) {
            warn_of_loss(position, pixel, best, summary);
        }
        let collapsed = summary.diagnostics.get(TARGET_SD).is_some_and(|sd| sd < MIN_SD);
        if collapsed && 10 * position.epoch > position.epochs {
            summary.warnings.push(format!(
                "The teacher finds nearly the same features in every cell (SD below {MIN_SD}, 1 is healthy): the features have \
                 collapsed. Lower training.lr or method.numbers.feature_weight."
            ));
        }
    }

    fn state(&self) -> Result<Parts> {
        Ok(vec![(TEACHER.into(), self.teacher.to_bytes()?)])
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        self.teacher.restore(&parts.take(TEACHER)?)
    }

    fn picture(&self, net: &PredictorNet, sample: Sample, position: Position, device: &Device) -> Result<Picture> {
        let batch = self.batch(vec![sample], position).masked;
        let (image, mask) = (batch.images(0..1, device), batch.masks(0..1, device));
        let [_, output] = reconstruct(net, image, mask);
        let mut pixels = read_values(output, "reading a reconstruction")?;
        pixels.truncate(self.cells.size().pow(2));
        Ok(Picture::masked(pixels, batch.masked_patches(0, self.cells.grid())))
    }

    fn reconstructor(config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>> {
        MaskedReconstructor::load(network(config, 0, device), weights, reconstruct)
    }
}

/// The masked image and its reconstruction; visible cells are meaningless.
fn reconstruct(net: &PredictorNet, image: Tensor<4>, pixel_mask: Tensor<4>) -> [Tensor<4>; 2] {
    let input = image.clone() * (-pixel_mask + 1.0);
    let Trace { bottleneck, output, .. } = net.trace(input.clone(), Precision::F32);
    let [_, _, grid, _] = bottleneck.dims();
    [input, denormalise(output, image, grid, Variance::Biased)]
}

/// SD of each number over the rows, averaged.
fn spread_over_rows(rows: Tensor<2>) -> Tensor<1> {
    let centred = rows.clone() - rows.mean_dim(0);
    (centred.clone() * centred).mean_dim(0).sqrt().mean()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::synthetic::synthetic_batch;
    use crate::pretrain::testing::{check_gradient, check_micro_batches, config, task};
    use crate::test_tensors::{rows, values};

    #[test]
    fn decay_and_feature_weight_follow_their_schedules() {
        for (e, expected) in [(50, 0.99945), (100, 0.9999), (250, 0.999_945), (400, 0.99999), (799, 0.99999)] {
            assert!((decay(e, 800) - expected).abs() < 1e-12, "{e}: {}", decay(e, 800));
        }
        for (e, expected) in [(0, 0.005), (99, 0.5), (199, 1.0), (700, 1.0)] {
            assert!((feature_weight(e, 800) - expected).abs() < 1e-12, "{e}");
        }
    }

    #[test]
    fn errors_within_a_masked_area_count_up_to_twice() {
        let all = emphasis(&[true; 9], 3);
        let (corner, edge, middle) = (1.4444, 1.6667, 2.0);
        let expected = [corner, edge, corner, edge, middle, edge, corner, edge, corner];
        assert!(all.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{all:?}");
        let one = emphasis(&[true, false, false, false, false, false, false, false, false], 3);
        assert!((one[0] - 10.0 / 9.0).abs() < 1e-6 && (one[8] - 1.0).abs() < 1e-6, "{one:?}");
    }

    #[test]
    fn features_are_normalised_before_they_are_compared() {
        let device = Device::flex();
        let [a, b] = [[1.0, 3.0], [3.0, 1.0]].map(|row| layer_norm(rows(row.to_vec(), 1, &device)));
        let difference = a - b;
        let error = values((difference.clone() * difference).mean_dim(1));
        assert!((error[0] - 4.0).abs() < 1e-4, "{error:?}");
    }

    #[test]
    fn equal_targets_have_a_spread_of_0() {
        let device = Device::flex();
        assert_eq!(values(spread_over_rows(rows(vec![1.0, 2.0, 1.0, 2.0], 2, &device))), [0.0]);
        let apart = values(spread_over_rows(rows(vec![1.0, 5.0, 3.0, -1.0], 2, &device)));
        assert!((apart[0] - 2.0).abs() < 1e-6, "{apart:?}");
    }

    /// A zero output is the best constant one, because patches have a mean of 0: its pixel loss is the constant one, and a
    /// network that stays there is flagged. `BootMAE` had no such number.
    #[test]
    fn a_constant_output_has_the_constant_loss_and_is_flagged() {
        let config = crate::pretrain::testing::sized(64);
        let mut task = task::<BootMae>(&config);
        let batch = synthetic_batch(&task, &config, 4, 0).unwrap().masked;
        let of = |slice: &MaskedSlice<BootTarget>| {
            let patches = task.cells.patches(&slice.target.pixels.pixels, 1);
            let errors = patches.chunks(256).map(|patch| patch.iter().map(|v| f64::from(v * v)).sum::<f64>() / 256.0);
            errors.zip(&slice.target.weights[0]).map(|(error, weight)| error * f64::from(*weight)).sum::<f64>()
        };
        let expected = batch.slices(0..4).iter().map(of).sum::<f64>() / 4.0;
        assert!(expected > 0.5 && (batch.constant_loss() / expected - 1.0).abs() < 1e-4, "{expected}");
        let mut flagged = |loss: f64| {
            let parts = Some([("pixel", loss), ("feature", 0.1)].into_iter().collect());
            let diagnostics = [(CONSTANT_LOSS, expected), (TARGET_SD, 1.0)].into_iter().collect();
            let mut summary = EpochSummary { parts, diagnostics, ..EpochSummary::default() };
            task.diagnose(Position { epoch: 5, epochs: 10, step: 0 }, &mut summary);
            let ratio = summary.diagnostics.get(crate::pretrain::masked::LOSS_RATIO).unwrap();
            (ratio, summary.warnings.iter().filter(|warning| warning.contains("constant output")).count())
        };
        let (ratio, warnings) = flagged(expected);
        assert!((ratio - 1.0).abs() < 1e-9 && warnings == 1, "{ratio}");
        assert_eq!(flagged(0.5 * expected), (0.5, 0));
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<BootMae>(&config());
        check_micro_batches::<BootMae>(&config());
    }

    #[test]
    fn the_estimated_memory_counts_the_weights_of_the_head() {
        let weights = predictor(&config()).parameters();
        let unet = network_config(&config()).parameters();
        assert_eq!(BootMae::head(&config()).weights, weights + (unet + weights) / 4);
    }

    /// Masked pixels do not reach the network, and visible ones do not count in the loss.
    #[test]
    fn masked_cells_are_hidden_and_only_they_count() {
        let config = crate::pretrain::testing::sized(64);
        let task = task::<BootMae>(&config);
        let device = Device::flex();
        let net = task.build(1, &device);
        let batch = synthetic_batch(&task, &config, 1, 0).unwrap();
        let slice = &batch.masked.slices(0..1)[0];
        let hidden = slice.mask.iter().filter(|m| **m > 0.0).count();
        assert_eq!(hidden, 12 * 16 * 16, "three quarters of 16 cells");
        let output = |pixels: Vec<f32>| {
            let image = crate::test_tensors::image(pixels, 64, &device);
            let mask = crate::test_tensors::image(slice.mask.clone(), 64, &device);
            values(net.trace(image * (-mask + 1.0), Precision::F32).output)
        };
        let shifted = slice.pixels.iter().zip(&slice.mask).map(|(pixel, mask)| pixel + 7.0 * mask).collect();
        assert_eq!(output(slice.pixels.clone()), output(shifted));
        let [pixel, feature] = &slice.target.weights;
        let masked = batch.masked.masked_patches(0, 4);
        for cell in 0..16 {
            assert_eq!(feature[cell] > 0.0, masked[cell], "{cell}");
            assert_eq!(pixel[cell] > 0.0, masked[cell] && !slice.target.pixels.flat[cell], "{cell}");
        }
    }
}
