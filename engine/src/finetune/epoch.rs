//! A fine-tuning's side of the steps of an epoch: augmented slices, and the sum of their losses.

use burn::tensor::Tensor;

use super::objective::Samples;
use super::probes::Probes;
use super::{Labelled, name, tally_part};
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::trainer::{Length, Parts, Portion, Stepper, Steps};
use crate::{Error, ErrorKind, Result};

/// What an epoch trains on, and where its losses go.
pub(super) struct Epoch<'e, 'a> {
    pub config: &'e Config,
    pub data: &'e Labelled,
    pub length: &'e Length,
    /// Number of the epoch, from 1.
    pub number: usize,
    /// The slices of each step.
    pub batches: Vec<&'e [usize]>,
    /// Sum of the losses and number of slices so far.
    pub tally: &'e mut (f64, usize),
    pub probes: &'e mut Probes<'a>,
}

impl Steps for Epoch<'_, '_> {
    const STAGE: Stage = Stage::Finetune;
    type Batch = Samples;
    type Taken = Vec<(Portion, Tensor<1>)>;
    type Read = f64;

    fn count(&self) -> usize {
        self.batches.len()
    }

    fn rate(&self, index: usize) -> f64 {
        self.length.rate(&self.config.training, self.number, index)
    }

    fn make(&self, index: usize) -> Result<Samples> {
        self.data.samples(self.config, self.batches[index], [self.number as u64, index as u64])
    }

    fn step(&self, stepper: &mut Stepper, index: usize, samples: Samples) -> Result<Self::Taken> {
        stepper.step(&samples, self.batches[index].len(), self.rate(index))
    }

    /// The batch's loss: the sum of what its portions told.
    fn read(&mut self, _: usize, told: Self::Taken) -> Result<f64> {
        let failed = |why: String| Error::from(ErrorKind::Compute { step: "reading the loss".into(), why });
        let read = |(_, loss): (Portion, Tensor<1>)| {
            let data = loss.try_into_data().map_err(|e| failed(e.to_string()))?;
            data.iter::<f64>().next().ok_or_else(|| failed("no value".into()))
        };
        told.into_iter().map(read).sum()
    }

    fn losses(value: &f64) -> Vec<(&'static str, f64)> {
        vec![("Dice and cross-entropy", *value)]
    }

    fn names(&self, index: usize) -> String {
        self.batches[index].iter().map(|&i| name(self.data, i)).collect::<Vec<_>>().join(", ")
    }

    fn add(&mut self, index: usize, value: &f64) {
        let slices = self.batches[index].len();
        *self.tally = (self.tally.0 + value * slices as f64, self.tally.1 + slices);
    }

    fn events(&mut self) -> Vec<Event> {
        self.probes.look(self.data)
    }

    fn parts(&self) -> Result<Parts> {
        Ok(vec![tally_part(*self.tally)?])
    }
}
