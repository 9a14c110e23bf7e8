//! The numbers of an epoch, added up step by step. They belong into a checkpoint taken in its midst.

use serde::{Deserialize, Serialize};

use super::host::Masked;
use super::objective::Losses;
use crate::event::{EpochSummary, Parts};
use crate::masking::attention::important;

/// Sums over the slices of an epoch so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    slices: usize,
    loss: f64,
    parts: Parts,
    literal: Parts,
    agreeing: u64,
    judged: u64,
}

impl Tally {
    /// Adds a step, weighted by its slices.
    pub fn add(&mut self, batch: &Masked, losses: &Losses) {
        let n = batch.len();
        self.slices += n;
        self.loss += losses.value * n as f64;
        add(&mut self.parts, &losses.parts, n as f64);
        add(&mut self.literal, &losses.literal, n as f64);
        let slices = batch.chosen.iter().zip(&losses.relative).zip(&batch.label_ori);
        for ((chosen, relative), labels) in slices {
            self.judged += chosen.len() as u64;
            let agrees = |(patch, relative): (&usize, &f64)| important(*relative) == (labels[*patch] == 1);
            self.agreeing += chosen.iter().zip(relative).filter(|pair| agrees(*pair)).count() as u64;
        }
    }

    /// The epoch's numbers.
    pub fn summary(&self, epoch: usize, sigma: f64, learning_rate: f64) -> EpochSummary {
        let n = self.slices.max(1) as f64;
        let mean = |p: &Parts| Parts { pred: p.pred / n, rrl: p.rrl / n, lcl: p.lcl / n };
        EpochSummary {
            epoch,
            loss: self.loss / n,
            learning_rate,
            parts: Some(mean(&self.parts)),
            literal: Some(mean(&self.literal)),
            sigma: Some(sigma),
            agreement: (self.judged > 0).then(|| self.agreeing as f64 / self.judged as f64),
            ..EpochSummary::default()
        }
    }
}

fn add(sum: &mut Parts, more: &Parts, weight: f64) {
    sum.pred += more.pred * weight;
    sum.rrl += more.rrl * weight;
    sum.lcl += more.lcl * weight;
}
