//! HPM (Wang et al., 2023): the network predicts how hard each patch is to reconstruct, and its teacher masks the hard ones.

use burn::tensor::activation::softplus;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::MaskedReconstructor;
use super::teacher::{
    HostSlice, MEANS, Means, TEACHER, highest, moments_of_masked, pixel_masks, teacher_on, warn_of_constant_output,
};
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::event::EpochSummary;
use crate::loss::{patch_errors, patch_features, reconstruction};
use crate::masking::pattern::random;
use crate::masking::{indicator, masked_count};
use crate::model::record::Transfer;
use crate::model::{
    Ema, MlpShape, Norm, Precision, PredictorNet, Trace, UNetConfig, capped_decay, cell_rows, read_values,
};
use crate::patch::PatchGrid;
use crate::pretrain::network_config;
use crate::pretrain::task::{Picture, PretextTask, Reconstruct, Sample, TaskSetup};
use crate::pretrain::tensors::rows;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::{Head, MicroBatch, MicroLoss, Objective, Parts, Position, StepOutput};
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "hpm",
    pretext: Pretext::Hpm,
    family: Family::Related,
    what: "masks shift from random to the patches that a teacher ranks hardest",
    about: "HPM masks 75 % of the patches, reconstructs them and ranks them by difficulty, and masks a growing \
            fraction, up to half, of the patches that a moving average of the network ranks hardest. Here the ranking \
            head is a small MLP on the U-Net's last block, averaged over each of the 16 x 16 patches. Encoder and \
            decoder are transferred.",
    citation: "Wang et al., Hard Patches Mining for Masked Image Modeling, CVPR 2023",
};

/// Largest fraction of the masked patches that are chosen by hardness.
const HARD_SHARE: Number = Number {
    name: "hard_share",
    default: 0.5,
    range: [0.0, 1.0],
    what: "fraction of the masked patches that are the hardest ones in the last epoch",
};

/// Patches per side.
const GRID: usize = 16;
/// Fraction of the patches that is masked.
const RATIO: f64 = 0.75;
/// Hidden units of the ranking head.
const HIDDEN: usize = 64;
/// If fewer pairs than this fraction are in the right order, the ranking has not learned; chance is .5.
const MIN_RIGHT: f64 = 0.52;
const RIGHT: &str = "pairs_right";

/// Number of the `masked` patches that are chosen by hardness in epoch `e` (from 0) of `epochs`.
fn hard_count(masked: usize, share: f64, e: usize, epochs: usize) -> usize {
    (masked as f64 * share * (e + 1) as f64 / epochs.max(1) as f64 + 1e-9).floor() as usize
}

/// The teacher's decay in epoch `e` (from 0) of `epochs`: from .999 to .9999 in an eighth of the epochs.
fn decay(e: usize, epochs: usize) -> f64 {
    0.999 + 0.0009 * (8.0 * e as f64 / epochs.max(1) as f64).min(1.0)
}

/// Ranking loss and fraction of pairs in the right order, means over the slices.
struct Ranking {
    loss: Tensor<1>,
    right: Tensor<1>,
}

/// The mean over the pairs of a slice with `l_i > l_j` of `softplus(s_j - s_i)`, and the fraction of them with `s_i > s_j`. Scores
/// `s` and detached losses `l` are `[B, M]`.
fn ranking(scores: Tensor<2>, losses: Tensor<2>) -> Ranking {
    let [batch, n] = scores.dims();
    let difference = |of: Tensor<2>| of.clone().reshape([batch, n, 1]) - of.reshape([batch, 1, n]);
    let harder = difference(losses.detach()).greater_elem(0.0).float();
    let pairs = harder.clone().reshape([batch, n * n]).sum_dim(1).clamp_min(1.0);
    let margin: Tensor<3> = difference(scores);
    let mean = |of: Tensor<3>| ((of * harder.clone()).reshape([batch, n * n]).sum_dim(1) / pairs.clone()).mean();
    let right = mean(margin.clone().detach().greater_elem(0.0).float());
    Ranking { loss: mean(softplus(-margin, 1.0)), right }
}

/// A slice and all its patches in random order.
type Slice = HostSlice<Vec<usize>>;

/// A batch on the host; the teacher masks it on the device.
pub(crate) struct HpmBatch {
    slices: Vec<Slice>,
    /// Number of masked patches chosen by hardness.
    hard: usize,
}

/// The masks of some slices.
struct Masks {
    /// Masked patches of each slice, the hardest first.
    chosen: Vec<Vec<usize>>,
    /// `[b, N]`, 1 on masked patches.
    patches: Vec<Vec<f32>>,
}

/// A pre-training run with HPM.
pub(crate) struct Hpm {
    config: Config,
    grid: PatchGrid,
    steps: usize,
    teacher: Ema<PredictorNet>,
    means: Means,
}

fn predictor(config: &Config, network: &UNetConfig) -> MlpShape {
    MlpShape { hidden_norm: config.network.norm != Norm::None, ..MlpShape::new(network.width, HIDDEN, 1) }
}

fn network(config: &Config, seed: u64, device: &Device) -> PredictorNet {
    let shape = network_config(config);
    PredictorNet::init(&shape, predictor(config, &shape), seed, device)
}

/// Predicted difficulty of each patch, `[B, N]`.
fn scores(net: &PredictorNet, last: Tensor<4>, grid: usize) -> Tensor<2> {
    let [batch, _, _, _] = last.dims();
    net.predict(cell_rows(patch_features(last, grid))).reshape([batch, grid * grid])
}

impl Hpm {
    fn masked(&self) -> usize {
        masked_count(self.grid.count(), RATIO)
    }

    fn batch(&self, samples: Vec<Sample>, position: Position) -> HpmBatch {
        let (n, seed) = (self.grid.count(), self.config.seed);
        let slice = |sample: Sample| {
            let order = random(n, n, seed, &sample.stream_key(position));
            Slice::new(sample, &self.grid, order)
        };
        let slices = samples.into_par_iter().map(slice).collect();
        let hard = hard_count(self.masked(), HARD_SHARE.of(&self.config), position.epoch - 1, position.epochs);
        HpmBatch { slices, hard }
    }

    /// The `hard` patches that the teacher ranks hardest in each slice, then random ones.
    fn masks(&self, slices: &[Slice], hard: usize, device: &Device) -> Result<Masks> {
        let n = self.grid.count();
        let hardness = if hard == 0 {
            vec![0.0; n * slices.len()]
        } else {
            let teacher = teacher_on(&self.teacher, device);
            let image = Slice::images(slices, &self.grid, &device.clone().inner());
            let last = teacher.trace(image, self.config.training.precision).last;
            read_values(scores(&teacher, last, GRID), "reading the teacher's scores")?
        };
        let choose = |(slice, hardness): (&Slice, &[f32])| {
            let by_hardness = highest(hardness, hard);
            let rest = slice.drawn.iter().filter(|patch| !by_hardness.contains(patch)).copied();
            let rest: Vec<usize> = rest.take(self.masked() - hard).collect();
            [by_hardness, rest].concat()
        };
        let chosen: Vec<Vec<usize>> = slices.iter().zip(hardness.chunks(n)).map(choose).collect();
        Ok(Masks { patches: chosen.iter().map(|chosen| indicator(n, chosen)).collect(), chosen })
    }
}

impl Objective for Hpm {
    type Net = PredictorNet;
    type Batch = HpmBatch;

    fn build(&self, seed: u64, device: &Device) -> PredictorNet {
        network(&self.config, seed, device)
    }

    fn loss(&self, net: &PredictorNet, batch: &HpmBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (slices, device) = (&batch.slices[micro.range.clone()], micro.device);
        let masks = self.masks(slices, batch.hard, device)?;
        let image = Slice::images(slices, &self.grid, device);
        let mask = pixel_masks(&masks.patches, &self.grid, device);
        let trace = net.trace(image.clone() * (-mask + 1.0), self.config.training.precision);

        let count = self.masked();
        let errors = patch_errors(trace.output.clone(), image, GRID);
        let pred = reconstruction(errors.clone(), rows(masks.patches.iter(), device), count);
        let of_masked = |numbers: Tensor<2>| {
            let index = masks.chosen.iter().flatten().map(|patch| *patch as i64).collect::<Vec<_>>();
            let index = Tensor::<2, Int>::from_data(TensorData::new(index, [slices.len(), count]), device);
            numbers.gather(1, index)
        };
        let ranking = ranking(of_masked(scores(net, trace.last, GRID)), of_masked(errors));

        let value = pred.clone() + ranking.loss.clone();
        let masked = slices.iter().zip(&masks.patches).map(|(s, patches)| (&*s.pixels, self.grid.spread(patches)));
        let mut diagnostics = moments_of_masked(masked, device);
        diagnostics.push((RIGHT, ranking.right));
        let hits = slices.iter().zip(&masks.chosen).map(|(slice, chosen)| slice.hits(&chosen[..batch.hard]));
        let hits: Vec<Vec<f32>> = hits.collect();
        Ok(MicroLoss {
            objective: micro.weighted(value.clone()),
            value,
            parts: vec![("pred", pred), ("rank", ranking.loss)],
            diagnostics,
            per_slice: Some(rows(hits.iter(), device)),
            output: trace.output,
        })
    }
}

impl PretextTask for Hpm {
    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const NUMBERS: &'static [Number] = &[HARD_SHARE];

    fn errors(config: &Config) -> Vec<Error> {
        let grid = PatchGrid::new(config.preprocess.size, GRID);
        let why = format!("must be a multiple of {GRID}, the patches along a side");
        grid.err().map(|_| Error::config("preprocess.size", config.preprocess.size, why)).into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let network = network_config(config);
        let predictor = predictor(config, &network);
        let (n, masked) = (GRID * GRID, masked_count(GRID * GRID, RATIO));
        // The teacher has weights but no gradient and no moments: a quarter of the memory of a trained weight.
        let teacher = (network.parameters() + predictor.parameters()) / 4;
        let activations = n * (network.width + 3 * HIDDEN) + 5 * masked * masked;
        Head { weights: predictor.parameters() + teacher, activations }
    }

    fn mask_grid(_: &Config) -> usize {
        GRID
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config.clone();
        let grid = PatchGrid::new(config.preprocess.size, GRID)?;
        let teacher = Ema::new(&network(&config, config.seed, setup.device));
        Ok(Self { config, grid, steps: setup.length.steps, teacher, means: Means::default() })
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<HpmBatch> {
        Ok(self.batch(samples, position))
    }

    fn after_step(
        &mut self,
        net: &mut PredictorNet,
        _: &HpmBatch,
        output: &StepOutput,
        position: Position,
    ) -> Result<()> {
        for hits in &output.per_slice {
            self.means.add("air_of_hard", hits[0], 1.0);
            self.means.add("lesion_recall_of_hard", hits[1], 1.0);
        }
        self.teacher.update(net, capped_decay(decay(position.epoch - 1, position.epochs), self.steps));
        Ok(())
    }

    fn diagnose(&mut self, position: Position, summary: &mut EpochSummary) {
        self.means.take().iter().for_each(|(name, mean)| summary.diagnostics.set(name, mean));
        warn_of_constant_output(position, "pred", summary);
        let chance = summary.diagnostics.get(RIGHT).is_some_and(|right| right < MIN_RIGHT);
        if chance && 10 * position.epoch > position.epochs {
            summary.warnings.push(format!(
                "The ranking of hard patches is no better than chance (fraction of pairs in the right order below {MIN_RIGHT}), so \
                 the hard masks are arbitrary. Raise training.lr, or train longer."
            ));
        }
    }

    fn state(&self) -> Result<Parts> {
        Ok(vec![(TEACHER.into(), self.teacher.to_bytes()?), (MEANS.into(), self.means.to_bytes()?)])
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        self.means = Means::from_bytes(&parts.take(MEANS)?)?;
        self.teacher.restore(&parts.take(TEACHER)?)
    }

    fn picture(&self, net: &PredictorNet, sample: Sample, position: Position, device: &Device) -> Result<Picture> {
        let batch = self.batch(vec![sample], position);
        let masks = self.masks(&batch.slices, batch.hard, device)?;
        let image = Slice::images(&batch.slices, &self.grid, device);
        let [_, output] = reconstruct(net, image, pixel_masks(&masks.patches, &self.grid, device));
        let mut pixels = read_values(output, "reading a reconstruction")?;
        pixels.truncate(self.grid.size().pow(2));
        Ok(Picture::masked(pixels, masks.patches[0].iter().map(|masked| *masked > 0.0).collect()))
    }

    fn reconstructor(config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>> {
        MaskedReconstructor::load(network(config, 0, device), weights, reconstruct)
    }
}

/// The masked image and its reconstruction.
fn reconstruct(net: &PredictorNet, image: Tensor<4>, pixel_mask: Tensor<4>) -> [Tensor<4>; 2] {
    let input = image * (-pixel_mask + 1.0);
    let Trace { output, .. } = net.trace(input.clone(), Precision::F32);
    [input, output]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::pretrain::testing::{check_gradient, check_micro_batches, config, task};
    use crate::test_tensors::{rows, values};

    fn rank(losses: &[f32], scores: &[f32]) -> [f32; 2] {
        let device = Device::flex();
        let of = |numbers: &[f32]| rows(numbers.to_vec(), 1, &device);
        let Ranking { loss, right } = ranking(of(scores), of(losses));
        [values(loss)[0], values(right)[0]]
    }

    #[test]
    fn the_ranking_loss_covers_every_pair_of_unequal_losses() {
        for (losses, scores, expected, right) in [
            ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 2f32.ln(), 0.0),
            ([1.0, 2.0, 3.0], [0.0, 1.0, 2.0], 0.251_150, 1.0),
            ([1.0, 1.0, 3.0], [0.0, 5.0, 1.0], 2.165_706, 0.5),
        ] {
            let actual = rank(&losses, &scores);
            assert!(
                (actual[0] - expected).abs() < 1e-5 && (actual[1] - right).abs() < 1e-6,
                "{actual:?}, not {expected}"
            );
        }
        assert_eq!(rank(&[1.0; 3], &[0.0, 1.0, 2.0]), [0.0, 0.0], "no pair of equal losses counts");
    }

    #[test]
    fn ranking_weights_slices_equally_and_gives_losses_no_gradient() {
        let device = Device::flex().autodiff();
        let losses = rows(vec![1.0, 2.0, 3.0, 1.0, 1.0, 3.0], 2, &device).require_grad();
        let scores = rows(vec![0.0, 1.0, 2.0, 0.0, 5.0, 1.0], 2, &device).require_grad();
        let loss = ranking(scores.clone(), losses.clone()).loss;
        assert!((values(loss.clone())[0] - 1.208_428).abs() < 1e-5);
        let gradients = loss.backward();
        assert!(losses.grad(&gradients).is_none() && scores.grad(&gradients).is_some());
    }

    #[test]
    fn up_to_half_of_the_masked_patches_are_the_hardest() {
        let counts = [0, 399, 799].map(|e| hard_count(192, 0.5, e, 800));
        assert_eq!(counts, [0, 48, 96]);
        assert_eq!(hard_count(192, 1.0, 9, 10), 192);
        for (e, expected) in [(0, 0.999), (50, 0.99945), (100, 0.9999), (799, 0.9999)] {
            assert!((decay(e, 800) - expected).abs() < 1e-12, "{e}");
        }
    }

    fn at_epoch(epoch: usize) -> (Hpm, HpmBatch) {
        let hpm = task::<Hpm>(&config());
        let position = Position { epoch, epochs: 10, step: 0 };
        let sample = |position: u64| {
            let data = crate::pretrain::synthetic_slice(&config(), position);
            Sample { slice: position, patient: position, k: 0, data }
        };
        let batch = hpm.collate((0..3).map(sample).collect(), position).unwrap();
        (hpm, batch)
    }

    /// In the last epoch half of the masked patches are those with the highest scores of the teacher.
    #[test]
    fn the_teacher_masks_the_patches_with_the_highest_scores() {
        let device = Device::flex();
        let (hpm, batch) = at_epoch(10);
        assert_eq!(batch.hard, 96);
        let masks = hpm.masks(&batch.slices, batch.hard, &device).unwrap();
        let teacher = hpm.teacher.valid();
        let last = teacher.trace(Slice::images(&batch.slices, &hpm.grid, &device), Precision::F32).last;
        let scores = values(scores(&teacher, last, GRID));
        for ((scores, chosen), patches) in scores.chunks(256).zip(&masks.chosen).zip(&masks.patches) {
            let hidden = patches.iter().filter(|m| **m > 0.0).count();
            assert_eq!((chosen.len(), hidden), (192, 192));
            let lowest = chosen[..96].iter().map(|patch| scores[*patch]).fold(f32::INFINITY, f32::min);
            let outside = (0..256).filter(|patch| !chosen[..96].contains(patch));
            assert!(outside.map(|patch| scores[patch]).all(|score| score <= lowest));
        }
        let (_, first) = at_epoch(1);
        assert_eq!(first.hard, 9);
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<Hpm>(&config());
        check_micro_batches::<Hpm>(&config());
    }
}
