//! The steps of one epoch. While the device works on a batch, the next one is augmented on the host; losses are read when the
//! trainer asks for them, in the order of the steps.

use burn::tensor::Tensor;

use super::objective::Samples;
use super::probes::Probes;
use super::{Labelled, name, tally_part};
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::trainer::{Length, Portion, Trainer, beside};
use crate::{Error, ErrorKind, Result};

/// What an epoch trains on.
pub(super) struct Epoch<'a> {
    pub config: &'a Config,
    pub data: &'a Labelled,
    pub length: &'a Length,
    /// Number of the epoch, from 1.
    pub number: usize,
    /// The slices of each step.
    pub batches: Vec<&'a [usize]>,
}

/// A step whose loss was not read yet.
struct Waiting {
    index: usize,
    rate: f64,
    told: Vec<(Portion, Tensor<1>)>,
}

impl Epoch<'_> {
    /// Trains from step `first` (from 0) to the epoch's end. `tally` is the sum of the losses and the number of slices so far.
    pub fn train(
        &self,
        first: usize,
        trainer: &mut Trainer<'_>,
        tally: &mut (f64, usize),
        probes: &mut Probes<'_>,
    ) -> Result<()> {
        let mut next = self.make(first);
        let mut waiting = Vec::new();
        for index in first..self.batches.len() {
            let Some(samples) = next.take().transpose()? else { break };
            let rate = self.length.rate(&self.config.training, self.number, index);
            let step = || trainer.stepper.step(&samples, self.batches[index].len(), rate);
            let (told, made) = beside(step, || self.make(index + 1));
            next = made.flatten();
            trainer.tell_notes()?;
            waiting.push(Waiting { index, rate, told: told? });
            if trainer.reads(waiting.len(), index + 1 == self.batches.len()) {
                for step in waiting.drain(..) {
                    self.settle(step, trainer, tally, probes)?;
                }
                trainer.heed(self.number, index + 1, || Ok(vec![tally_part(*tally)?]))?;
            }
        }
        Ok(())
    }

    /// The batch of a step, if the epoch has it.
    fn make(&self, index: usize) -> Option<Result<Samples>> {
        let members = self.batches.get(index)?;
        Some(self.data.samples(self.config, members, [self.number as u64, index as u64]))
    }

    /// Reads what a step told, and tells the listeners.
    fn settle(
        &self,
        step: Waiting,
        trainer: &mut Trainer<'_>,
        tally: &mut (f64, usize),
        probes: &mut Probes<'_>,
    ) -> Result<()> {
        let Waiting { index, rate, told } = step;
        let (epoch, members) = (self.number, self.batches[index]);
        let value = value_of(told).map_err(|e| trainer.stepper.named(e))?;
        if !value.is_finite() {
            let slices = members.iter().map(|&i| name(self.data, i)).collect::<Vec<_>>().join(", ");
            let what = "Dice and cross-entropy".into();
            return Err(ErrorKind::NonFinite { what, value, epoch, step: index + 1, slices }.into());
        }
        *tally = (tally.0 + value * members.len() as f64, tally.1 + members.len());
        let stage = Stage::Finetune;
        trainer.emit(&Event::Step { stage, epoch, step: index + 1, loss: value, learning_rate: rate })?;
        trainer.emit_probes(&probes.look(self.data))
    }
}

/// The batch's loss: the sum of what its portions told.
fn value_of(told: Vec<(Portion, Tensor<1>)>) -> Result<f64> {
    let failed = |why: String| Error::from(ErrorKind::Compute { step: "reading the loss".into(), why });
    let read = |(_, loss): (Portion, Tensor<1>)| {
        let data = loss.try_into_data().map_err(|e| failed(e.to_string()))?;
        data.iter::<f64>().next().ok_or_else(|| failed("no value".into()))
    };
    told.into_iter().map(read).sum()
}
