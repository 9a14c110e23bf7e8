//! The traits that training methods implement. The loop in [`super::train`] knows methods only through them.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::Length;
use super::memory::Head;
use super::output::{MicroLoss, StepOutput};
use crate::Result;
use crate::config::TrainingConfig;
use crate::event::{EpochSummary, Event, Stage};
use crate::model::UNetConfig;
use crate::model::record::Transfer;
use crate::run::checkpoint::CheckpointData;

/// Named bytes of a checkpoint.
pub type Parts = Vec<(String, Vec<u8>)>;

/// A network and its loss.
pub trait Objective: Sync {
    /// A U-Net with what the method adds to it: heads, tokens, prototypes.
    type Net: Module + Sync;
    /// A batch on the host.
    type Batch: Send + Sync;

    /// The network with random weights.
    fn build(&self, seed: u64, device: &Device) -> Self::Net;

    /// Whole-batch statistics that a micro-batch loss needs, such as the Dice numerator and denominator: sums over the
    /// micro-batch's slices. Called only if a batch is split. `None` if the loss is a mean over slices.
    ///
    /// # Errors
    /// Device errors.
    fn batch_statistics(
        &self,
        _net: &Self::Net,
        _batch: &Self::Batch,
        _micro: &MicroBatch<'_>,
    ) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// The loss of a micro-batch.
    ///
    /// # Errors
    /// Device errors.
    fn loss(&self, net: &Self::Net, batch: &Self::Batch, micro: &MicroBatch<'_>) -> Result<MicroLoss>;
}

/// The slices of a run, numbered from 0.
pub trait Dataset {
    /// Digest of the data: a checkpoint made on other data is refused.
    fn digest(&self) -> String;

    /// The slices of an epoch (from 1) in training order.
    fn order(&self, epoch: usize) -> Vec<usize>;

    /// Patient and slice, for messages: `ID:k`.
    fn name(&self, slice: usize) -> String;
}

/// The network of a method.
pub type Net<M> = <<M as Method>::Objective as Objective>::Net;

/// The batches of a method.
pub type Batch<M> = <<M as Method>::Objective as Objective>::Batch;

/// A run: an [`Objective`] with its data and its state.
///
/// A new run calls `initial` and `restore`, a resumed one `build` and `restore`. Each step calls `collate`, `rate`, the objective's
/// `loss` and `after_step`, each epoch `end_epoch`, `diagnostics` and, for a checkpoint, `state`.
pub trait Method: Sync {
    /// Its network and loss.
    type Objective: Objective;
    /// Pre-training or fine-tuning.
    const STAGE: Stage;
    /// What fine-tuning transfers from the trained network.
    const TRANSFER: Transfer;

    /// Its network and loss.
    fn objective(&self) -> &Self::Objective;

    /// Shape of the U-Net.
    fn network(&self) -> UNetConfig;

    /// What the method adds to it.
    fn head(&self) -> Head {
        Head::default()
    }

    /// The weights that a new run starts with; not called for a resumed run.
    ///
    /// # Errors
    /// A pre-trained network that cannot be read.
    fn initial(&self, seed: u64, device: &Device) -> Result<Net<Self>> {
        Ok(self.objective().build(seed, device))
    }

    /// The slices that it trains on.
    fn dataset(&self) -> &dyn Dataset;

    /// Collates a batch on the host. It runs in parallel with the previous step, so it must not depend on anything that a step
    /// changes.
    ///
    /// # Errors
    /// A slice that cannot be read.
    fn collate(&self, slices: &[usize], position: Position) -> Result<Batch<Self>>;

    /// The learning rate of a step.
    fn rate(&self, training: &TrainingConfig, length: &Length, position: Position) -> f64 {
        length.rate(training, position.epoch, position.step)
    }

    /// Called after a step, to update moving averages, queues and epoch statistics. Returns events of pinned slices and warnings.
    ///
    /// # Errors
    /// Device errors.
    fn after_step(
        &mut self,
        net: &mut Net<Self>,
        batch: &Batch<Self>,
        output: &StepOutput,
        position: Position,
    ) -> Result<Vec<Event>>;

    /// Called between two epochs, for label updates, validation and pinned slices. The network must not change.
    ///
    /// # Errors
    /// Device errors; cancellation during validation.
    fn end_epoch(&mut self, net: &Net<Self>, position: Position) -> Result<EpochEnd>;

    /// Adds the method's own values to the epoch summary, and resets its counts.
    ///
    /// # Errors
    /// Device errors.
    fn diagnostics(&mut self, _net: &Net<Self>, _at: Position, _summary: &mut EpochSummary) -> Result<()> {
        Ok(())
    }

    /// Checkpoint parts besides network and optimiser.
    ///
    /// # Errors
    /// State that cannot be written as bytes.
    fn state(&self) -> Result<Parts> {
        Ok(Vec::new())
    }

    /// Restores [`Method::state`]. Called once before the first step; a new run has no parts.
    ///
    /// # Errors
    /// Parts that are missing or damaged.
    fn restore(&mut self, resumed: &mut ResumePoint) -> Result<()>;
}

/// Some slices of a batch that go through the network together, on one device.
#[derive(Clone)]
pub struct MicroBatch<'a> {
    /// The slices of the batch that it contains.
    pub range: Range<usize>,
    /// Number of slices in the batch.
    pub of: usize,
    /// The device that computes it, with autodiff.
    pub device: &'a Device,
    /// Sums of [`Objective::batch_statistics`] over all micro-batches; empty if the batch is not split.
    pub statistics: &'a [f64],
}

impl<'a> MicroBatch<'a> {
    /// A batch that is not split.
    pub fn whole(of: usize, device: &'a Device) -> Self {
        Self { range: 0..of, of, device, statistics: &[] }
    }

    /// True if the batch is not split.
    pub fn is_whole(&self) -> bool {
        self.range.len() == self.of
    }

    /// Its weight in a mean over the batch's slices.
    pub fn share(&self) -> f64 {
        self.range.len() as f64 / self.of.max(1) as f64
    }

    /// A mean over these slices, weighted for the sum over the batch.
    pub fn weighted(&self, mean: Tensor<1>) -> Tensor<1> {
        if self.is_whole() { mean } else { mean * self.share() }
    }
}

/// Position in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Step of the epoch, from 0.
    pub step: usize,
}

impl Position {
    /// True in every `every`-th epoch and in the last one; never if `every` is 0.
    pub(crate) fn is_due(self, every: usize) -> bool {
        every > 0 && (self.epoch.is_multiple_of(every) || self.epoch == self.epochs)
    }
}

/// Result of [`Method::end_epoch`].
#[derive(Debug, Default)]
pub struct EpochEnd {
    /// Label updates, pinned slices and warnings, in order.
    pub events: Vec<Event>,
    /// Mean Dice of the validation patients, if this epoch was validated.
    pub validation_dice: Option<f64>,
}

/// Where a run continues, with the method's stored state.
pub struct ResumePoint {
    /// Epoch to continue with, from 1.
    pub epoch: usize,
    /// Parts of the checkpoint; `None` at the start of a run.
    pub parts: Option<CheckpointData>,
}
