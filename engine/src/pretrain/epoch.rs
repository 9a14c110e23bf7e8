//! A pre-training's side of the steps of an epoch: masked slices, and what their losses are kept for.

use super::Masked;
use super::objective::{Losses, Reconstruction, Told, read};
use super::probes::{Moment, Probes};
use super::slices::{Record, Slices};
use crate::Result;
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::trainer::{Length, Parts, Portion, Stepper, Steps};

/// What an epoch trains on, and where its losses go.
pub(super) struct Epoch<'e, 'a> {
    pub config: &'e Config,
    pub slices: &'e Slices,
    pub length: &'e Length,
    pub moment: Moment,
    /// The slices of each step.
    pub batches: Vec<&'e [usize]>,
    pub record: &'e mut Record,
    pub probes: &'e mut Probes<'a>,
}

impl Steps for Epoch<'_, '_> {
    const STAGE: Stage = Stage::Pretrain;
    type Batch = Masked;
    type Taken = (Masked, Vec<(Portion, Told)>);
    type Read = (Masked, Losses);

    fn count(&self) -> usize {
        self.batches.len()
    }

    fn rate(&self, index: usize) -> f64 {
        self.length.rate(&self.config.training, self.moment.epoch, index)
    }

    fn make(&self, index: usize) -> Result<Masked> {
        self.slices.masked(self.config, self.batches[index], self.moment.sigma, self.moment.epoch)
    }

    fn step(&self, stepper: &mut Stepper, index: usize, masked: Masked) -> Result<Self::Taken> {
        let objective = Reconstruction { config: self.config, masked: &masked };
        let told = stepper.step(&objective, masked.len(), self.rate(index))?;
        Ok((masked, told))
    }

    fn read(&mut self, _: usize, (masked, told): Self::Taken) -> Result<Self::Read> {
        let losses = read(told, &masked, &self.config.method)?;
        self.probes.observe(self.slices, &masked, &losses, self.moment)?;
        Ok((masked, losses))
    }

    fn losses((_, losses): &Self::Read) -> Vec<(&'static str, f64)> {
        let parts = &losses.parts;
        vec![("L_pred", parts.pred), ("L_rrl", parts.rrl), ("L_lcl", parts.lcl), ("the loss", losses.value)]
    }

    fn names(&self, index: usize) -> String {
        self.slices.names(self.batches[index])
    }

    fn add(&mut self, _: usize, (masked, losses): &Self::Read) {
        self.record.add(masked, losses);
    }

    fn events(&mut self) -> Vec<Event> {
        self.probes.events()
    }

    fn parts(&self) -> Result<Parts> {
        Ok([self.record.parts(self.slices)?, self.probes.parts()].concat())
    }
}
