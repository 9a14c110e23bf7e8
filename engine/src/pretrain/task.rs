//! The trait of a pre-training method: its batches, state updates and pictures, besides its network and loss. `training.rs` adapts it to
//! [`crate::trainer::Method`]. Only AMLP, which updates patch labels, implements that trait directly.

use burn::tensor::{Device, Tensor};

use crate::config::{Config, Number, TrainingConfig};
use crate::event::EpochSummary;
use crate::model::record::Transfer;
use crate::preprocess::SliceData;
use crate::probe::PictureKind;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::{Head, Length, Objective, Parts, Position, StepOutput};
use crate::{Error, Result};

/// Context in which a method is created.
pub struct TaskSetup<'a> {
    /// The settings.
    pub config: &'a Config,
    /// Number of training slices.
    pub slices: usize,
    /// Epochs and steps of the run.
    pub length: Length,
    /// The first device, without gradients.
    pub device: &'a Device,
}

/// A slice of a batch.
#[derive(Clone)]
pub struct Sample {
    /// Slice number; with the epoch it seeds the random draws. Pinned slices have numbers that no training slice has.
    pub slice: u64,
    /// Number of its patient.
    pub patient: u64,
    /// Index of the preprocessed slice, along S.
    pub k: u32,
    /// Pixels and tissue.
    pub data: SliceData,
}

impl Sample {
    /// Epoch and slice, which seed its random draws.
    pub fn stream_key(&self, position: Position) -> [u64; 2] {
        [position.epoch as u64, self.slice]
    }
}

/// Picture of a pinned slice after an epoch.
pub struct Picture {
    /// `[S][S]`.
    pub pixels: Vec<f32>,
    /// The masked patches, in the order of a grid of [`PretextTask::mask_grid`] patches per side; empty without a grid.
    pub masked: Vec<bool>,
    /// What the pixels show.
    pub kind: PictureKind,
}

impl Picture {
    /// A network's output, without a mask.
    pub fn new(pixels: Vec<f32>) -> Self {
        Self { pixels, masked: Vec::new(), kind: PictureKind::Output }
    }

    /// A network's output with the masked patches.
    pub fn masked(pixels: Vec<f32>, masked: Vec<bool>) -> Self {
        Self { masked, ..Self::new(pixels) }
    }
}

/// A task for `slices` training slices.
///
/// # Errors
/// Settings that cannot be used.
pub(super) fn new_task<T: PretextTask>(config: &Config, slices: usize, device: &Device) -> Result<T> {
    let of_epoch = if T::FILLS_BATCHES { slices.next_multiple_of(config.training.batch.max(1)) } else { slices };
    let length = Length::new(&config.training, of_epoch);
    T::new(&TaskSetup { config, slices, length, device })
}

/// A pre-training method: a network with its loss, and how slices become a batch. The network is a U-Net of
/// [`super::network_config`] from the stream `weights`, with heads from separate streams and with numbered parameters.
///
/// State besides the network, such as a teacher, a queue or codes, is in the struct itself: created in
/// `new`, read in `loss`, updated in `after_step`, saved and loaded by `state` and `restore`.
pub trait PretextTask: Objective + Sized + Send + 'static {
    /// What fine-tuning transfers. A decoder that is not transferred starts from random weights.
    const TRANSFER: Transfer;
    /// Its parameters in `[method.numbers]`.
    const NUMBERS: &'static [Number] = &[];
    /// For a loss that compares the slices of a batch with each other: the reason why a batch cannot be split, without a full
    /// stop. Micro-batches and several devices are then refused with this reason.
    const WHOLE_BATCH: Option<&'static str> = None;
    /// Fills a short last batch with slices from the start of the epoch.
    const FILLS_BATCHES: bool = false;

    /// Errors of all invalid settings. Parameters are checked already.
    fn errors(_config: &Config) -> Vec<Error> {
        Vec::new()
    }

    /// Parameters and stored activations that it adds to the U-Net.
    fn head(config: &Config) -> Head;

    /// Patches per side of its masks, for pictures; 0 if masks are not made of patches.
    fn mask_grid(_config: &Config) -> usize {
        0
    }

    /// # Errors
    /// Settings that cannot be used.
    fn new(setup: &TaskSetup<'_>) -> Result<Self>;

    /// The learning rate of a step, if it does not follow one schedule over the whole run.
    fn rate(&self, _training: &TrainingConfig, _at: Position) -> Option<f64> {
        None
    }

    /// Collates a batch on the host, in parallel with the previous step, so it must not depend on anything a step changes.
    ///
    /// # Errors
    /// Slices that cannot be used.
    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<Self::Batch>;

    /// Called after a step, to update moving averages, queues and codes.
    ///
    /// # Errors
    /// Device errors.
    fn after_step(&mut self, _: &mut Self::Net, _: &Self::Batch, _: &StepOutput, _: Position) -> Result<()> {
        Ok(())
    }

    /// Derives further diagnostics from an epoch's means, and adds a warning to [`EpochSummary::warnings`] if training has
    /// collapsed. Each warning is shown once, so it must not name an epoch.
    fn diagnose(&mut self, _at: Position, _summary: &mut EpochSummary) {}

    /// Checkpoint parts besides network and optimiser.
    ///
    /// # Errors
    /// State that cannot be written as bytes.
    fn state(&self) -> Result<Parts> {
        Ok(Vec::new())
    }

    /// Restores [`PretextTask::state`]. Not called for a new run.
    ///
    /// # Errors
    /// Parts that are missing or damaged.
    fn restore(&mut self, _parts: &mut CheckpointData) -> Result<()> {
        Ok(())
    }

    /// The picture of a pinned slice. The network has no gradients.
    ///
    /// # Errors
    /// Device errors.
    fn picture(&self, net: &Self::Net, sample: Sample, position: Position, device: &Device) -> Result<Picture>;

    /// The network of a run as one that reconstructs masked slices.
    ///
    /// # Errors
    /// Weights of another network; a method whose network does not reconstruct pixels.
    fn reconstructor(config: &Config, _weights: &[u8], _device: &Device) -> Result<Box<dyn Reconstruct>> {
        Err(no_pixels(config))
    }
}

/// The error of a network that does not reconstruct pixels.
pub(super) fn no_pixels(config: &Config) -> Error {
    let why = "its network does not reconstruct pixels. Choose a run of a masked-image method that does";
    Error::config("reconstruction", &config.preset, why)
}

/// A network that reconstructs masked slices.
pub trait Reconstruct: Send + Sync {
    /// The masked image that the network sees and its reconstruction, `[B, C, H, W]` both; `pixel_mask` `[B, 1, H, W]` is 1 on
    /// masked pixels, which are replaced by `noise` if it is given.
    fn reconstruct(&self, image: Tensor<4>, pixel_mask: Tensor<4>, noise: Option<Tensor<4>>) -> [Tensor<4>; 2];
}
