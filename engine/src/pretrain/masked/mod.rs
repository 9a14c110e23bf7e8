//! Masked-image methods. Each defines its mask, fill, target, head and loss; the shared parts are here.
//!
//! | file | contents |
//! |---|---|
//! | `batch.rs` | slices with pixel masks and targets, on the host and on a device |
//! | `normed.rs` | normalised patches as a target |
//! | `hog.rs` | oriented gradients as a target |
//! | `simmim.rs`, `maskfeat.rs`, `conv_mae.rs` | SimMIM, MaskFeat, ConvMAE |
//! | `um_mae.rs`, `fre_mae.rs`, `context_encoder.rs` | UM-MAE, FreMAE, context encoder |
//! | `teacher.rs` | shared code of the methods with a teacher |
//! | `attmask.rs`, `beit/`, `bootmae.rs`, `hpm.rs` | the methods with a teacher |

pub(crate) mod attmask;
mod batch;
pub(crate) mod beit;
pub(crate) mod bootmae;
pub(crate) mod context_encoder;
pub(crate) mod conv_mae;
pub(crate) mod fre_mae;
mod hog;
pub(crate) mod hpm;
pub(crate) mod maskfeat;
pub mod normed;
pub(crate) mod simmim;
mod teacher;
pub(crate) mod um_mae;

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::task::{Picture, PretextTask, Reconstruct, Sample, TaskSetup, no_pixels};
use crate::config::{Config, Number};
use crate::event::EpochSummary;
use crate::masking::indicator;
use crate::model::record::{Transfer, from_bytes};
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::probe::PictureKind;
use crate::trainer::{Head, MicroBatch, MicroLoss, Objective, Position, StepOutput};
use crate::{Error, Result};

pub use batch::{MaskedBatch, MaskedSlice};

/// A method that reconstructs masked regions.
pub trait MaskedTask: Sized + Send + Sync + 'static {
    /// A U-Net with mask token and head.
    type Net: Module + Sync;
    /// The target of a slice, if it is not the slice itself, and the loss's mask.
    type Target: Send + Sync;

    /// As [`PretextTask::TRANSFER`].
    const TRANSFER: Transfer;
    /// As [`PretextTask::NUMBERS`].
    const NUMBERS: &'static [Number] = &[];
    /// Network, image and pixel mask to the masked image and its reconstruction, all `[B, C, S, S]`; `None` if the network does
    /// not reconstruct pixels.
    const RECONSTRUCT: Option<Reconstruction<Self::Net>> = None;

    /// The kind of picture that [`MaskedTask::show`] returns.
    const SHOWS: PictureKind = PictureKind::Output;

    /// As [`PretextTask::errors`].
    fn errors(_config: &Config) -> Vec<Error> {
        Vec::new()
    }

    /// As [`PretextTask::head`].
    fn head(config: &Config) -> Head;

    /// As [`PretextTask::mask_grid`].
    fn mask_grid(_config: &Config) -> usize {
        0
    }

    /// # Errors
    /// Settings that cannot be used.
    fn new(config: &Config) -> Result<Self>;

    /// As [`Objective::build`].
    fn build(&self, seed: u64, device: &Device) -> Self::Net;

    /// The pixel mask of a slice, `[S][S]`: 1 on masked pixels, else 0.
    fn mask(&self, data: &SliceData, key: [u64; 2]) -> Vec<f32>;

    /// The target of a slice.
    fn target(&self, data: &SliceData, mask: &[f32], key: [u64; 2]) -> Self::Target;

    /// The loss of the best constant output on these slices, which a network that ignores its input reaches: mean over slices.
    /// Not called if [`MaskedLoss::constant`] is set.
    fn constant_loss(&self, _slices: &[MaskedSlice<Self::Target>]) -> f64 {
        f64::NAN
    }

    /// The picture of a slice, `[S][S]`; by default the first channel of the output.
    ///
    /// # Errors
    /// Device errors.
    fn show(&self, _slice: &MaskedSlice<Self::Target>, output: Vec<f32>) -> Result<Vec<f32>> {
        Ok(output)
    }

    /// The loss of some of the slices, and the picture of each.
    ///
    /// # Errors
    /// Device errors.
    fn loss(
        &self,
        net: &Self::Net,
        batch: &MaskedBatch<Self::Target>,
        range: Range<usize>,
        device: &Device,
    ) -> Result<MaskedLoss>;
}

/// See [`MaskedTask::RECONSTRUCT`].
pub type Reconstruction<N> = fn(&N, Tensor<4>, Tensor<4>) -> [Tensor<4>; 2];

/// The loss of some slices.
pub struct MaskedLoss {
    /// The mean over the slices.
    pub loss: Tensor<1>,
    /// Its name in the log.
    pub name: &'static str,
    /// The loss of the best constant output, where the host does not compute it.
    pub constant: Option<Tensor<1>>,
    /// Further diagnostics, as means over the slices.
    pub diagnostics: Vec<(&'static str, Tensor<1>)>,
    /// The network's output, of which [`MaskedTask::show`] gets the first channel.
    pub output: Tensor<4>,
}

/// A masked-image method as a pre-training task.
pub struct MaskedMethod<T> {
    config: Config,
    task: T,
}

/// Name of the ratio of the loss to that of the best constant output.
pub const LOSS_RATIO: &str = "loss_ratio";
/// Name of the loss of the best constant output.
const CONSTANT_LOSS: &str = "constant_loss";
/// A loss ratio above this is a collapse.
const MAX_RATIO: f64 = 0.98;

impl<T: MaskedTask> MaskedMethod<T> {
    fn batch(&self, samples: Vec<Sample>, position: Position) -> MaskedBatch<T::Target> {
        let masked = |sample: Sample| {
            let key = sample.stream_key(position);
            let mask = self.task.mask(&sample.data, key);
            let target = self.task.target(&sample.data, &mask, key);
            MaskedSlice { pixels: sample.data.pixels, mask, target }
        };
        let slices: Vec<_> = samples.into_par_iter().map(masked).collect();
        let constant_loss = self.task.constant_loss(&slices);
        MaskedBatch::new(&self.config, slices, constant_loss)
    }
}

impl<T: MaskedTask> Objective for MaskedMethod<T> {
    type Net = T::Net;
    type Batch = MaskedBatch<T::Target>;

    fn build(&self, seed: u64, device: &Device) -> T::Net {
        self.task.build(seed, device)
    }

    fn loss(&self, net: &T::Net, batch: &MaskedBatch<T::Target>, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let MaskedLoss { loss, name, constant, mut diagnostics, output } =
            self.task.loss(net, batch, micro.range.clone(), micro.device)?;
        let of_host = || Tensor::from_floats([batch.constant_loss() as f32], micro.device);
        diagnostics.push((CONSTANT_LOSS, constant.unwrap_or_else(of_host)));
        let parts = vec![(name, loss.clone())];
        Ok(MicroLoss {
            objective: micro.weighted(loss.clone()),
            value: loss,
            parts,
            diagnostics,
            per_slice: None,
            output,
        })
    }
}

impl<T: MaskedTask> PretextTask for MaskedMethod<T> {
    const TRANSFER: Transfer = T::TRANSFER;
    const NUMBERS: &'static [Number] = T::NUMBERS;

    fn errors(config: &Config) -> Vec<Error> {
        T::errors(config)
    }

    fn head(config: &Config) -> Head {
        T::head(config)
    }

    fn mask_grid(config: &Config) -> usize {
        T::mask_grid(config)
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        Ok(Self { config: setup.config.clone(), task: T::new(setup.config)? })
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<MaskedBatch<T::Target>> {
        Ok(self.batch(samples, position))
    }

    fn diagnose(&mut self, position: Position, summary: &mut EpochSummary) {
        warn_of_flat_output(position, summary);
    }

    fn picture(&self, net: &T::Net, sample: Sample, position: Position, device: &Device) -> Result<Picture> {
        let batch = self.batch(vec![sample], position);
        let micro = MicroBatch::whole(1, device);
        let output = StepOutput::of(self.loss(net, &batch, &micro)?, &micro)?;
        let masked = batch.masked_patches(0, T::mask_grid(&self.config));
        let pixels = self.task.show(&batch.slices(0..1)[0], output.picture(0)?.unwrap_or_default())?;
        Ok(Picture { kind: T::SHOWS, ..Picture::masked(pixels, masked) })
    }

    fn reconstructor(config: &Config, weights: &[u8], device: &Device) -> Result<Box<dyn Reconstruct>> {
        let Some(reconstruct) = T::RECONSTRUCT else { return Err(no_pixels(config)) };
        MaskedReconstructor::load(T::new(config)?.build(0, device), weights, reconstruct)
    }
}

/// Replaces the loss of the best constant output by the loss ratio. A network that learns drops below 1 soon; one that ignores
/// its input stays at 1.
pub fn warn_of_flat_output(position: Position, summary: &mut EpochSummary) {
    if let Some(constant) = summary.diagnostics.take(CONSTANT_LOSS) {
        warn_of_loss(position, summary.loss, constant, summary);
    }
}

/// Sets the ratio of `loss` to the loss of the best constant output, and warns if it is near 1, or if a constant output has no
/// loss.
pub(super) fn warn_of_loss(position: Position, loss: f64, constant: f64, summary: &mut EpochSummary) {
    if constant <= 0.0 {
        summary.warnings.push(
            "A constant output has no loss, so there is nothing to learn about the masked pixels. Enlarge preprocess.size, or set \
             preprocess.spacing to native."
                .to_owned(),
        );
        return;
    }
    let ratio = loss / constant;
    summary.diagnostics.set(LOSS_RATIO, ratio);
    if 10 * position.epoch > position.epochs && ratio > MAX_RATIO {
        summary.warnings.push(format!(
            "The loss is that of a constant output (ratio above {MAX_RATIO}), so the network has learned nothing about what \
             is masked. Raise training.lr, or train longer."
        ));
    }
}

/// Patches per side of a slice, as in MAE.
const PATCHES: usize = 16;

/// The cells of the network's bottleneck.
///
/// # Errors
/// A size that they do not divide.
fn bottleneck_cells(config: &Config) -> Result<PatchGrid> {
    PatchGrid::new(config.preprocess.size, config.preprocess.size / config.network.multiple())
}

/// The pixel mask `[S][S]` of masked patches, by index.
pub fn pixel_mask(grid: &PatchGrid, masked: &[usize]) -> Vec<f32> {
    grid.spread(&indicator(grid.count(), masked))
}

/// Weighted squared error of the best constant output, mean over the slices. Each slice has a target `[C][S][S]` and pixel
/// weights `[S][S]` for all channels.
pub fn constant_error<'a>(slices: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> f64 {
    let (mut count, [mut weight, mut sum, mut squares]) = (0usize, [0.0f64; 3]);
    for (pixels, weights) in slices {
        count += 1;
        let channels = (pixels.len() / weights.len().max(1)).max(1) as f64;
        for (value, w) in pixels.iter().zip(weights.iter().cycle()) {
            let (value, w) = (f64::from(*value), f64::from(*w) / channels);
            (weight, sum, squares) = (weight + w, sum + w * value, squares + w * value * value);
        }
    }
    if weight > 0.0 { (squares - sum * sum / weight) / count as f64 } else { 0.0 }
}

struct MaskedReconstructor<N> {
    net: N,
    reconstruct: Reconstruction<N>,
}

impl<N: Module + Sync + 'static> MaskedReconstructor<N> {
    /// The network with these weights, without gradients.
    fn load(net: N, weights: &[u8], reconstruct: Reconstruction<N>) -> Result<Box<dyn Reconstruct>> {
        Ok(Box::new(Self { net: from_bytes(net, weights)?.valid(), reconstruct }))
    }
}

impl<N: Module + Sync> Reconstruct for MaskedReconstructor<N> {
    fn reconstruct(&self, image: Tensor<4>, pixel_mask: Tensor<4>, _: Option<Tensor<4>>) -> [Tensor<4>; 2] {
        (self.reconstruct)(&self.net, image, pixel_mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Losses;

    #[test]
    fn the_best_constant_is_the_weighted_mean() {
        // Values 1 and 3 have weight, 100 has none; a second slice has no weights.
        let error = constant_error([([1.0, 3.0, 100.0].as_slice(), [0.5, 0.5, 0.0].as_slice())].into_iter());
        assert!((error - 1.0).abs() < 1e-12, "{error}");
        let slices = [([1.0, 3.0].as_slice(), [0.5, 0.5].as_slice()), ([7.0, 7.0].as_slice(), [0.0, 0.0].as_slice())];
        assert!((constant_error(slices.into_iter()) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_constant_output_gives_a_warning_after_a_tenth_of_the_run() {
        let epoch = |epoch: usize, loss: f64| {
            let diagnostics: Losses = [(CONSTANT_LOSS, 2.0)].into_iter().collect();
            let mut summary = EpochSummary { epoch, loss, diagnostics, ..EpochSummary::default() };
            warn_of_flat_output(Position { epoch, epochs: 20, step: 0 }, &mut summary);
            (summary.diagnostics.get(LOSS_RATIO), summary.warnings.len())
        };
        assert_eq!(epoch(2, 2.0), (Some(1.0), 0));
        assert_eq!(epoch(3, 2.0), (Some(1.0), 1));
        assert_eq!(epoch(3, 1.5), (Some(0.75), 0));
    }

    /// On slices that were enlarged by nearest neighbour, all patches of 2 x 2 pixels are flat and leave the loss. The run said
    /// nothing.
    #[test]
    fn targets_without_contrast_give_a_warning() {
        let mut summary = EpochSummary { epoch: 1, ..EpochSummary::default() };
        warn_of_loss(Position { epoch: 1, epochs: 20, step: 0 }, 0.0, 0.0, &mut summary);
        assert_eq!(summary.diagnostics.get(LOSS_RATIO), None);
        assert!(summary.warnings[0].contains("nothing to learn"), "{:?}", summary.warnings);
    }
}
