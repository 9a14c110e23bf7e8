//! Running means of an epoch.

use serde::{Deserialize, Serialize};

use crate::event::{EpochSummary, Losses};
use crate::{ErrorKind, Result};

/// Sums of the losses over the slices of an epoch so far. Part of every checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochMeter {
    slices: usize,
    loss: f64,
    parts: Losses,
}

impl EpochMeter {
    /// Adds a step of `slices` slices: its loss and the parts of it, means over the slices.
    pub fn add<'a>(&mut self, slices: usize, loss: f64, parts: impl IntoIterator<Item = (&'a str, f64)>) {
        self.slices += slices;
        self.loss += loss * slices as f64;
        self.parts.add(parts, slices as f64);
    }

    /// The epoch's means.
    pub fn summary(&self, epoch: usize, learning_rate: f64) -> EpochSummary {
        let n = self.slices.max(1) as f64;
        let parts = Some(self.parts.divided_by(n));
        EpochSummary { epoch, loss: self.loss / n, learning_rate, parts, ..EpochSummary::default() }
    }

    /// The mean of each part.
    pub fn parts(&self) -> Losses {
        self.parts.divided_by(self.slices.max(1) as f64)
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
            EarlierMeter::Finetune(loss, slices) => Self { slices, loss, parts: Losses::default() },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn steps_are_weighted_by_their_slices() {
        let mut meter = EpochMeter::default();
        meter.add(3, 1.0, [("l1", 2.0)]);
        meter.add(1, 5.0, [("l1", 6.0)]);
        let summary = meter.summary(7, 0.5);
        assert!((summary.loss - 2.0).abs() < 1e-12 && summary.epoch == 7);
        assert_eq!(summary.parts.unwrap().get("l1"), Some(3.0));
    }

    #[test]
    fn sums_of_earlier_versions_are_read() {
        let old = br#"{"slices":8,"loss":4.0,"parts":{"pred":2.0,"rrl":1.0,"lcl":1.0},"literal":{"pred":0.0,"rrl":8.0,"lcl":0.0},"agreeing":5,"judged":9}"#;
        let meter = EpochMeter::from_earlier(old).unwrap();
        assert_eq!((meter.summary(1, 0.0).loss, meter.parts().get("pred")), (0.5, Some(0.25)));
        assert!((EpochMeter::from_earlier(b"[6.0,4]").unwrap().summary(1, 0.0).loss - 1.5).abs() < 1e-12);
        assert!(EpochMeter::from_earlier(b"{}").is_err());
    }
}
