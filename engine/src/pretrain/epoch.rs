//! The steps of one epoch. While the device works on a batch, the next one is masked on the host; losses are read when the
//! trainer asks for them, in the order of the steps.

use super::Masked;
use super::objective::{Losses, Reconstruction, Told, read};
use super::probes::{Moment, Probes};
use super::slices::{Record, Slices};
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::trainer::{Length, Portion, Trainer, beside};
use crate::{ErrorKind, Result};

/// What an epoch trains on.
pub(super) struct Epoch<'a> {
    pub config: &'a Config,
    pub slices: &'a Slices,
    pub length: &'a Length,
    pub moment: Moment,
    /// The slices of each step.
    pub batches: Vec<&'a [usize]>,
}

/// A step whose losses were not read yet.
struct Waiting {
    index: usize,
    rate: f64,
    masked: Masked,
    told: Vec<(Portion, Told)>,
}

impl Epoch<'_> {
    /// Trains from step `first` (from 0) to the epoch's end.
    pub fn train(
        &self,
        first: usize,
        trainer: &mut Trainer<'_>,
        record: &mut Record,
        probes: &mut Probes<'_>,
    ) -> Result<()> {
        let Moment { epoch, .. } = self.moment;
        let mut next = self.make(first);
        let mut waiting = Vec::new();
        for index in first..self.batches.len() {
            let Some(masked) = next.take().transpose()? else { break };
            let rate = self.length.rate(&self.config.training, epoch, index);
            let objective = Reconstruction { config: self.config, masked: &masked };
            let step = || trainer.stepper.step(&objective, masked.len(), rate);
            let (told, made) = beside(step, || self.make(index + 1));
            next = made.flatten();
            trainer.tell_notes()?;
            waiting.push(Waiting { index, rate, told: told?, masked });
            if trainer.reads(waiting.len(), index + 1 == self.batches.len()) {
                for step in waiting.drain(..) {
                    self.settle(step, trainer, record, probes)?;
                }
                trainer.heed(epoch, index + 1, || Ok([record.parts(self.slices)?, probes.parts()].concat()))?;
            }
        }
        Ok(())
    }

    /// The batch of a step, if the epoch has it.
    fn make(&self, index: usize) -> Option<Result<Masked>> {
        let members = self.batches.get(index)?;
        Some(self.slices.masked(self.config, members, self.moment.sigma, self.moment.epoch))
    }

    /// Reads what a step told, and tells the listeners.
    fn settle(
        &self,
        step: Waiting,
        trainer: &mut Trainer<'_>,
        record: &mut Record,
        probes: &mut Probes<'_>,
    ) -> Result<()> {
        let Waiting { index, rate, masked, told } = step;
        let Moment { epoch, .. } = self.moment;
        let losses = read(told, &masked, &self.config.method).map_err(|e| trainer.stepper.named(e))?;
        refuse_non_finite(&losses, epoch, index + 1, || self.slices.names(&masked.members))?;
        record.add(&masked, &losses);
        probes.observe(self.slices, &masked, &losses, self.moment)?;
        let (stage, loss) = (Stage::Pretrain, losses.value);
        trainer.emit(&Event::Step { stage, epoch, step: index + 1, loss, learning_rate: rate })?;
        trainer.emit_probes(&probes.events())
    }
}

fn refuse_non_finite(losses: &Losses, epoch: usize, step: usize, names: impl Fn() -> String) -> Result<()> {
    let values = [("L_pred", losses.parts.pred), ("L_rrl", losses.parts.rrl), ("L_lcl", losses.parts.lcl)];
    for (what, value) in values.into_iter().chain([("the loss", losses.value)]) {
        if !value.is_finite() {
            return Err(ErrorKind::NonFinite { what: what.into(), value, epoch, step, slices: names() }.into());
        }
    }
    Ok(())
}
