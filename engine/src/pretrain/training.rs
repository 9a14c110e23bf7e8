//! Adapts a [`PretextTask`] to a training method: makes batches of slices, and pictures of pinned slices.

use burn::module::Module;
use rayon::prelude::*;

use super::task::{PretextTask, Sample, new_task};
use super::{Slices, network_config};
use crate::Result;
use crate::config::{Config, TrainingConfig};
use crate::event::{EpochSummary, Event, Stage};
use crate::model::UNetConfig;
use crate::model::record::Transfer;
use crate::preprocess::SliceData;
use crate::probe::{Pin, PinnedPictures, TrainingSlice};
use crate::trainer::{Dataset, EpochEnd, Head, Length, Method, Parts, Position, ResumePoint, Session, StepOutput};

/// A pre-training run of a task.
pub(super) struct Pretraining<'a, T: PretextTask> {
    config: &'a Config,
    task: T,
    session: &'a Session<'a>,
    slices: &'a Slices,
    probes: PinnedPictures<'a>,
}

impl<'a, T: PretextTask> Pretraining<'a, T> {
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(config: &'a Config, session: &'a Session<'a>, slices: &'a Slices) -> Result<Self> {
        let probes = PinnedPictures::new(config, session.cohort, session.run, session.pins, Stage::Pretrain);
        let probes = probes.with_grid(T::mask_grid(config));
        let task = new_task(config, slices.len(), &session.compute.device)?;
        Ok(Self { config, task, session, slices, probes })
    }

    /// A pinned slice among those that are trained on.
    fn find(slices: &Slices, pin: &Pin) -> Result<TrainingSlice> {
        let stored = slices.find(pin).map(|slice| {
            let world_from_crop = slices.plan(slice).shifted_affine(slices.shift(slice));
            slices.window(slice).map(|window| (window, world_from_crop))
        });
        let stored = stored.transpose()?;
        Ok(TrainingSlice { trained: stored.is_some(), stored })
    }
}

impl<T: PretextTask> Dataset for Pretraining<'_, T> {
    fn digest(&self) -> String {
        self.slices.digest()
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let order = self.slices.order(epoch);
        if T::FILLS_BATCHES { filled(&order, self.config.training.batch.max(1)) } else { order }
    }

    fn name(&self, slice: usize) -> String {
        self.slices.name(slice)
    }
}

/// An epoch's order whose last batch is filled with slices from its start.
fn filled(order: &[usize], batch: usize) -> Vec<usize> {
    let whole = order.len().next_multiple_of(batch);
    order.iter().copied().cycle().take(whole).collect()
}

impl<T: PretextTask> Method for Pretraining<'_, T> {
    type Objective = T;
    const STAGE: Stage = Stage::Pretrain;
    const TRANSFER: Transfer = T::TRANSFER;

    fn objective(&self) -> &T {
        &self.task
    }

    fn network(&self) -> UNetConfig {
        network_config(self.config)
    }

    fn head(&self) -> Head {
        T::head(self.config)
    }

    fn dataset(&self) -> &dyn Dataset {
        self
    }

    fn collate(&self, slices: &[usize], position: Position) -> Result<T::Batch> {
        let sample = |&slice: &usize| {
            let meta = self.slices.meta(slice);
            Ok(Sample { slice: slice as u64, patient: meta.case.into(), k: meta.k, data: self.slices.window(slice)? })
        };
        self.task.collate(slices.par_iter().map(sample).collect::<Result<_>>()?, position)
    }

    fn rate(&self, training: &TrainingConfig, length: &Length, position: Position) -> f64 {
        self.task.rate(training, position).unwrap_or_else(|| length.rate(training, position.epoch, position.step))
    }

    fn after_step(
        &mut self,
        net: &mut T::Net,
        batch: &T::Batch,
        output: &StepOutput,
        position: Position,
    ) -> Result<Vec<Event>> {
        self.task.after_step(net, batch, output, position)?;
        self.probes.admit_new(&|pin| Self::find(self.slices, pin));
        Ok(self.probes.events())
    }

    fn end_epoch(&mut self, net: &T::Net, position: Position) -> Result<EpochEnd> {
        self.probes.admit_new(&|pin| Self::find(self.slices, pin));
        let (net, device, task) = (net.valid(), &self.session.compute.device, &self.task);
        let picture = |pin: &Pin, data: &SliceData| {
            let sample = Sample { slice: pin.key(), patient: pin.key(), k: pin.slice, data: data.clone() };
            let picture = task.picture(&net, sample, position, device)?;
            Ok((picture.pixels, picture.kind, picture.masked))
        };
        self.probes.record(position.epoch, None, picture)?;
        Ok(EpochEnd { events: self.probes.events(), validation_dice: None })
    }

    fn diagnostics(&mut self, _: &T::Net, position: Position, summary: &mut EpochSummary) -> Result<()> {
        self.task.diagnose(position, summary);
        Ok(())
    }

    fn state(&self) -> Result<Parts> {
        self.task.state()
    }

    fn restore(&mut self, resumed: &mut ResumePoint) -> Result<()> {
        if let Some(parts) = &mut resumed.parts {
            self.task.restore(parts)?;
        }
        self.probes.start(resumed.epoch, &|pin| Self::find(self.slices, pin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_batch_is_filled_from_the_start_of_the_epoch() {
        assert_eq!(filled(&[3, 1, 4, 0, 2], 4), [3, 1, 4, 0, 2, 3, 1, 4]);
        assert_eq!(filled(&[1, 0], 2), [1, 0]);
        assert_eq!(filled(&[1, 0], 5), [1, 0, 1, 0, 1]);
    }
}
