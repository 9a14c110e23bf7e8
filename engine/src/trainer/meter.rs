//! Running means of an epoch.

use serde::{Deserialize, Serialize};

use super::StepOutput;
use crate::event::{EpochSummary, Losses};
use crate::{ErrorKind, Result};

/// Sums of the losses over the slices of the current epoch. Part of every checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochMeter {
    slices: usize,
    loss: f64,
    parts: Losses,
    /// Absent in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Losses::is_empty")]
    diagnostics: Losses,
}

impl EpochMeter {
    /// Adds a step of `slices` slices: its loss, the loss terms and the method's diagnostics, all means over the slices.
    pub fn add(&mut self, slices: usize, output: &StepOutput) {
        self.slices += slices;
        self.loss += output.loss * slices as f64;
        self.parts.add(output.parts.iter().copied(), slices as f64);
        self.diagnostics.add(output.diagnostics.iter().copied(), slices as f64);
    }

    /// The epoch's means.
    pub fn summary(&self, epoch: usize, learning_rate: f64) -> EpochSummary {
        let n = self.slices.max(1) as f64;
        let parts = Some(self.parts.divided_by(n));
        let diagnostics = self.diagnostics.divided_by(n);
        EpochSummary { epoch, loss: self.loss / n, learning_rate, parts, diagnostics, ..EpochSummary::default() }
    }

    /// Reads the `tally.json` of checkpoints of earlier versions: an object in pre-training, `[sum of losses, slices]` in
    /// fine-tuning.
    pub(super) fn from_earlier(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum EarlierMeter {
            Pretrain(EpochMeter),
            Finetune(f64, usize),
        }
        let earlier = serde_json::from_slice(json)
            .map_err(|e| ErrorKind::Compute { step: "reading tally.json".into(), why: e.to_string() })?;
        Ok(match earlier {
            EarlierMeter::Pretrain(meter) => meter,
            EarlierMeter::Finetune(loss, slices) => Self { slices, loss, ..Self::default() },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn means_weight_each_step_by_its_number_of_slices() {
        let mut meter = EpochMeter::default();
        let step = |loss, l1, accuracy| {
            let (parts, diagnostics) = (vec![("l1", l1)], vec![("accuracy", accuracy)]);
            StepOutput { loss, parts, diagnostics, ..StepOutput::default() }
        };
        meter.add(3, &step(1.0, 2.0, 0.5));
        meter.add(1, &step(5.0, 6.0, 0.1));
        let summary = meter.summary(7, 0.5);
        assert!((summary.diagnostics.get("accuracy").unwrap() - 0.4).abs() < 1e-12);
        assert!((summary.loss - 2.0).abs() < 1e-12 && summary.epoch == 7);
        assert_eq!(summary.parts.unwrap().get("l1"), Some(3.0));
    }

    #[test]
    fn checkpoints_of_earlier_versions_are_read() {
        let old = br#"{"slices":8,"loss":4.0,"parts":{"pred":2.0,"rrl":1.0,"lcl":1.0},"literal":{"pred":0.0,"rrl":8.0,"lcl":0.0},"agreeing":5,"judged":9}"#;
        let meter = EpochMeter::from_earlier(old).unwrap();
        let summary = meter.summary(1, 0.0);
        assert_eq!((summary.loss, summary.parts.unwrap().get("pred")), (0.5, Some(0.25)));
        assert!((EpochMeter::from_earlier(b"[6.0,4]").unwrap().summary(1, 0.0).loss - 1.5).abs() < 1e-12);
        assert!(EpochMeter::from_earlier(b"{}").is_err());
    }
}
