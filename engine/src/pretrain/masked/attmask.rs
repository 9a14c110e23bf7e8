//! `AttMask` (Kakogeorgiou et al., 2022): masks the cells that a teacher attends to.

use burn::tensor::{Device, Tensor};
use rand::RngExt;
use rayon::prelude::*;

use super::teacher::{
    HostSlice, MEANS, Means, TEACHER, highest, moments_of_masked, pixel_masks, teacher_on, warn_of_constant_output,
};
use super::{MaskedReconstructor, bottleneck_cells};
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::event::EpochSummary;
use crate::loss::{patch_errors, reconstruction};
use crate::masking::indicator;
use crate::masking::pattern::random;
use crate::model::record::Transfer;
use crate::model::{Ema, MaskInput, MaskedUNet, Precision, capped_decay, cosine_decay, read_values};
use crate::patch::PatchGrid;
use crate::pretrain::network_config;
use crate::pretrain::task::{Picture, PretextTask, Reconstruct, Sample, TaskSetup};
use crate::pretrain::tensors::rows;
use crate::run::checkpoint::CheckpointData;
use crate::seed::stream;
use crate::trainer::{Head, MicroBatch, MicroLoss, Objective, Parts, Position, StepOutput};
use crate::{Error, Result};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "attmask",
    pretext: Pretext::AttMask,
    family: Family::Related,
    what: "masks what a teacher attends to, in half of the slices; loss as in mae",
    about: "AttMask masks the part of an image that a teacher attends to most, because easy regions teach little. \
            Here the attention of a bottleneck cell is the dot product of its features with the slice's mean in a \
            moving average of the network, 10 to 50 % of the cells are masked (at random in half of the slices), and \
            the loss is that of mae instead of iBOT's. Encoder and decoder are transferred.",
    citation: "Kakogeorgiou et al., What to Hide from Your Students: Attention-Guided Masked Image Modeling, ECCV 2022",
};

/// Fraction of the slices that are masked by attention.
const SALIENT: Number = Number {
    name: "salient_share",
    default: 0.5,
    range: [0.0, 1.0],
    what: "fraction of the slices that are masked by the teacher's attention",
};

/// Range of the masked fraction of a batch's cells.
const RATIOS: [f64; 2] = [0.1, 0.5];
/// The teacher's decay in the first step; it rises to 1.
const DECAY: f64 = 0.996;

/// The dot product of each cell's features with their mean over the slice: `[B, D, G, G]` to `[B, G^2]`.
fn attention(features: Tensor<4>) -> Tensor<2> {
    let [batch, channels, rows, columns] = features.dims();
    let cells = features.reshape([batch, channels, rows * columns]);
    let mean = cells.clone().mean_dim(2);
    (cells * mean).sum_dim(1).reshape([batch, rows * columns])
}

/// Number of masked cells at a ratio: int(r G^2), at least 1.
fn masked(cells: usize, ratio: f64) -> usize {
    ((cells as f64 * ratio + 1e-9).floor() as usize).max(1)
}

/// A slice and its masked cells; `None` where the teacher chooses them.
type Slice = HostSlice<Option<Vec<usize>>>;

/// A batch on the host; the teacher masks some of its slices on the device.
pub(crate) struct AttBatch {
    slices: Vec<Slice>,
    /// Masked cells of each slice.
    count: usize,
}

/// A pre-training run with `AttMask`.
pub(crate) struct AttMask {
    config: Config,
    cells: PatchGrid,
    /// Steps of the run, and of an epoch.
    steps: [usize; 2],
    teacher: Ema<MaskedUNet>,
    means: Means,
}

fn network(config: &Config, seed: u64, device: &Device) -> MaskedUNet {
    MaskedUNet::init(&network_config(config), MaskInput::default(), seed, device)
}

impl AttMask {
    fn batch(&self, samples: Vec<Sample>, position: Position) -> AttBatch {
        let (seed, n, share) = (self.config.seed, self.cells.count(), SALIENT.of(&self.config));
        let ratio = stream(seed, "attmask-ratio", &[position.epoch as u64, position.step as u64])
            .random_range(RATIOS[0]..RATIOS[1]);
        let count = masked(n, ratio);
        let slice = |sample: Sample| {
            let key = sample.stream_key(position);
            let by_teacher = stream(seed, "attmask-coin", &key).random_bool(share);
            Slice::new(sample, &self.cells, (!by_teacher).then(|| random(n, count, seed, &key)))
        };
        AttBatch { slices: samples.into_par_iter().map(slice).collect(), count }
    }

    /// Masked cells of each slice, `[b][N]`: 1 on these.
    fn masks(&self, slices: &[Slice], count: usize, device: &Device) -> Result<Vec<Vec<f32>>> {
        let n = self.cells.count();
        let scores = if slices.iter().all(|slice| slice.drawn.is_some()) {
            vec![0.0; n * slices.len()]
        } else {
            let image = Slice::images(slices, &self.cells, &device.clone().inner());
            let features = teacher_on(&self.teacher, device).bottleneck(image, self.config.training.precision);
            read_values(attention(features), "reading the teacher's attention")?
        };
        let mask = |(slice, scores): (&Slice, &[f32])| {
            indicator(n, &slice.drawn.clone().unwrap_or_else(|| highest(scores, count)))
        };
        Ok(slices.iter().zip(scores.chunks(n)).map(mask).collect())
    }
}

impl Objective for AttMask {
    type Net = MaskedUNet;
    type Batch = AttBatch;

    fn build(&self, seed: u64, device: &Device) -> MaskedUNet {
        network(&self.config, seed, device)
    }

    fn loss(&self, net: &MaskedUNet, batch: &AttBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (slices, device) = (&batch.slices[micro.range.clone()], micro.device);
        let masks = self.masks(slices, batch.count, device)?;
        let image = Slice::images(slices, &self.cells, device);
        let mask = pixel_masks(&masks, &self.cells, device);
        let input = net.mask(image.clone(), mask.clone(), None);
        let output = net.forward(input, mask, self.config.training.precision);
        let errors = patch_errors(output.clone(), image, self.cells.grid());
        let value = reconstruction(errors, rows(masks.iter(), device), batch.count);
        let masked = slices.iter().zip(&masks).map(|(slice, mask)| (&*slice.pixels, self.cells.spread(mask)));
        let diagnostics = moments_of_masked(masked, device);
        let hits: Vec<Vec<f32>> = slices.iter().zip(&masks).map(|(slice, mask)| hits(slice, mask)).collect();
        Ok(MicroLoss {
            objective: micro.weighted(value.clone()),
            parts: vec![("pred", value.clone())],
            value,
            diagnostics,
            per_slice: Some(rows(hits.iter(), device)),
            output,
        })
    }
}

impl PretextTask for AttMask {
    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const NUMBERS: &'static [Number] = &[SALIENT];

    fn errors(config: &Config) -> Vec<Error> {
        bottleneck_cells(config).err().into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        // The teacher has weights but no gradient and no moments: a quarter of the memory of a trained weight.
        Head { weights: network_config(config).parameters() / 4, activations: config.preprocess.size.pow(2) }
    }

    fn mask_grid(config: &Config) -> usize {
        bottleneck_cells(config).map_or(0, |cells| cells.grid())
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config.clone();
        let teacher = Ema::new(&network(&config, config.seed, setup.device));
        let steps = [setup.length.steps, setup.length.steps_per_epoch];
        Ok(Self { cells: bottleneck_cells(&config)?, steps, teacher, means: Means::default(), config })
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<AttBatch> {
        Ok(self.batch(samples, position))
    }

    fn after_step(
        &mut self,
        net: &mut MaskedUNet,
        _: &AttBatch,
        output: &StepOutput,
        position: Position,
    ) -> Result<()> {
        for hits in &output.per_slice {
            self.means.add("air_of_salient", hits[0], 1.0);
            self.means.add("lesion_recall_of_salient", hits[1], 1.0);
        }
        let [steps, of_epoch] = self.steps;
        let decay = cosine_decay(DECAY, (position.epoch - 1) * of_epoch + position.step, steps);
        self.teacher.update(net, capped_decay(decay, steps));
        Ok(())
    }

    fn diagnose(&mut self, position: Position, summary: &mut EpochSummary) {
        self.means.take().iter().for_each(|(name, mean)| summary.diagnostics.set(name, mean));
        warn_of_constant_output(position, "pred", summary);
    }

    fn state(&self) -> Result<Parts> {
        Ok(vec![(TEACHER.into(), self.teacher.to_bytes()?), (MEANS.into(), self.means.to_bytes()?)])
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        self.means = Means::from_bytes(&parts.take(MEANS)?)?;
        self.teacher.restore(&parts.take(TEACHER)?)
    }

    fn picture(&self, net: &MaskedUNet, sample: Sample, position: Position, device: &Device) -> Result<Picture> {
        let batch = self.batch(vec![sample], position);
        let masks = self.masks(&batch.slices, batch.count, device)?;
        let image = Slice::images(&batch.slices, &self.cells, device);
        let [_, output] = reconstruct(net, image, pixel_masks(&masks, &self.cells, device));
        let mut pixels = read_values(output, "reading a reconstruction")?;
        pixels.truncate(self.cells.size().pow(2));
        Ok(Picture::masked(pixels, masks[0].iter().map(|masked| *masked > 0.0).collect()))
    }

    fn reconstructor(config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>> {
        MaskedReconstructor::load(network(config, 0, device), weights, reconstruct)
    }
}

/// [`HostSlice::hits`] of a mask, if it is the teacher's.
fn hits(slice: &Slice, mask: &[f32]) -> Vec<f32> {
    let by_teacher = (0..mask.len()).filter(|cell| slice.drawn.is_none() && mask[*cell] > 0.0);
    slice.hits(&by_teacher.collect::<Vec<_>>())
}

/// The masked image and its reconstruction.
fn reconstruct(net: &MaskedUNet, image: Tensor<4>, pixel_mask: Tensor<4>) -> [Tensor<4>; 2] {
    let input = net.mask(image, pixel_mask.clone(), None);
    [input.clone(), net.forward(input, pixel_mask, Precision::F32)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::pretrain::synthetic::synthetic_batch;
    use crate::pretrain::testing::{check_gradient, check_micro_batches, config, sized, task};
    use crate::test_tensors::values;

    #[test]
    fn the_cells_with_the_highest_attention_are_masked() {
        assert_eq!(masked(4, 0.5), 2);
        assert_eq!(highest(&[0.1, 0.4, 0.2, 0.3], masked(4, 0.5)), [1, 3]);
        assert_eq!(highest(&[0.5; 4], 2), [0, 1]);
        assert_eq!([0.1, 0.29, 0.5].map(|ratio| masked(100, ratio)), [10, 29, 50]);
        assert_eq!(masked(4, 0.1), 1);
    }

    /// Cells (1, 0), (0, 1), (1, 2), (0, 1) have the mean (.5, 1).
    #[test]
    fn attention_is_the_dot_product_with_the_mean() {
        let features = vec![1.0f32, 0.0, 1.0, 0.0, 0.0, 1.0, 2.0, 1.0];
        let map = Tensor::<4>::from_data(TensorData::new(features, [1, 2, 2, 2]), &Device::flex());
        assert_eq!(values(attention(map)), [0.5, 1.0, 2.5, 1.0]);
    }

    #[test]
    fn the_teacher_masks_half_of_the_slices_and_all_have_the_same_number_of_masked_cells() {
        let task = task::<AttMask>(&sized(96));
        let batch = synthetic_batch(&task, &sized(96), 64, 0).unwrap();
        let by_teacher = batch.slices.iter().filter(|slice| slice.drawn.is_none()).count();
        assert!((20..=44).contains(&by_teacher), "{by_teacher}");
        let masks = task.masks(&batch.slices, batch.count, &Device::flex()).unwrap();
        assert!((3..=18).contains(&batch.count), "{}", batch.count);
        for mask in &masks {
            assert_eq!(mask.iter().filter(|m| **m > 0.0).count(), batch.count);
        }
        // The teacher's choice is that of its attention.
        let index = batch.slices.iter().position(|slice| slice.drawn.is_none()).unwrap();
        let image = Slice::images(&batch.slices[index..=index], &task.cells, &Device::flex());
        let features = task.teacher.valid().bottleneck(image, Precision::F32);
        let expected = highest(&values(attention(features)), batch.count);
        assert!(expected.iter().all(|cell| masks[index][*cell] > 0.0));
        let counts: std::collections::BTreeSet<usize> =
            (0..20).map(|step| synthetic_batch(&task, &sized(96), 1, step).unwrap().count).collect();
        assert!(counts.len() > 5, "the ratio is drawn for every batch: {counts:?}");
    }

    #[test]
    fn hits_are_shares_of_the_teachers_cells() {
        let slice = |drawn| Slice {
            pixels: Vec::new(),
            air: vec![true, false, false, true],
            lesion: Some(vec![false, true, true, false]),
            drawn,
        };
        assert_eq!(hits(&slice(None), &[1.0, 1.0, 0.0, 0.0]), [0.5, 0.5]);
        assert!(hits(&slice(Some(vec![0, 1])), &[1.0, 1.0, 0.0, 0.0]).iter().all(|hit| hit.is_nan()));
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_and_micro_batches_add_up() {
        check_gradient::<AttMask>(&config());
        check_micro_batches::<AttMask>(&config());
    }
}
