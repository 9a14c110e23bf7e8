//! Shared code of the methods with a teacher: copies on a device, detached values, and epoch means over the slices that have
//! a value.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::warn_of_loss;
use crate::event::{EpochSummary, Losses};
use crate::model::Ema;
use crate::trainer::Position;
use crate::{ErrorKind, Result};

/// Part of a checkpoint: the teacher's weights.
pub(super) const TEACHER: &str = "teacher.safetensors";
/// Part of a checkpoint: sums of the current epoch.
pub(super) const MEANS: &str = "means.json";

/// A copy of the teacher for a device, without gradients and with running statistics.
pub(super) fn teacher_on<N: Module>(teacher: &Ema<N>, device: &Device) -> N {
    teacher.valid().fork(&device.clone().inner())
}

/// A detached tensor on `device`.
pub(super) fn constant<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    if device.is_autodiff() { Tensor::from_inner(tensor) } else { tensor }
}

/// The numbers of a tensor; `what` is for the error.
///
/// # Errors
/// Those of the device.
pub(super) fn read<const D: usize>(tensor: Tensor<D>, what: &str) -> Result<Vec<f32>> {
    let data = tensor.try_into_data();
    let data = data.map_err(|e| ErrorKind::Compute { step: format!("reading {what}"), why: e.to_string() })?;
    Ok(data.iter::<f32>().collect())
}

/// Mean of the masked pixels and of their squares.
const MOMENTS: [&str; 2] = ["masked_mean", "masked_square"];

/// The first two moments of the masked pixels of some slices, `[C][S][S]` and `[S][S]`, as diagnostics. Every slice must have
/// the same number of them, so that a batch's moments are the means over its slices.
pub(super) fn moments_of_masked<'a>(
    slices: impl Iterator<Item = (&'a [f32], Vec<f32>)>,
    device: &Device,
) -> Vec<(&'static str, Tensor<1>)> {
    let (mut n, mut sums) = (0.0, [0.0; 2]);
    for (pixels, mask) in slices {
        for channel in pixels.chunks(mask.len().max(1)) {
            for (value, _) in channel.iter().zip(&mask).filter(|(_, mask)| **mask > 0.0) {
                let value = f64::from(*value);
                n += 1.0;
                sums = [sums[0] + value, sums[1] + value * value];
            }
        }
    }
    let of = |(name, sum): (&'static str, f64)| (name, Tensor::from_floats([(sum / f64::max(n, 1.0)) as f32], device));
    MOMENTS.into_iter().zip(sums).map(of).collect()
}

/// [`warn_of_loss`] of the squared error that is the part `name` of the loss: the best constant output has the variance of
/// the masked pixels.
pub(super) fn warn_of_constant_output(position: Position, name: &str, summary: &mut EpochSummary) {
    let [mean, square] = MOMENTS.map(|name| summary.diagnostics.take(name));
    let loss = summary.parts.as_ref().and_then(|parts| parts.get(name));
    if let (Some(mean), Some(square), Some(loss)) = (mean, square, loss) {
        warn_of_loss(position, loss, square - mean * mean, summary);
    }
}

/// Sums over an epoch, for values that only some slices or steps have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Means(BTreeMap<String, (f64, f64)>);

impl Means {
    /// Adds a value with a weight; skips it if it is not finite.
    pub fn add(&mut self, name: &str, value: f64, weight: f64) {
        if value.is_finite() {
            let (sum, weights) = self.0.entry(name.to_owned()).or_default();
            *sum += value * weight;
            *weights += weight;
        }
    }

    /// Ends an epoch: returns its means and resets the sums.
    pub fn take(&mut self) -> Losses {
        std::mem::take(&mut self.0).into_iter().map(|(name, (sum, weights))| (name, sum / weights)).collect()
    }

    /// Serialises the sums for a checkpoint.
    ///
    /// # Errors
    /// If serialisation fails, which does not happen in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |e: serde_json::Error| ErrorKind::Compute { step: format!("writing {MEANS}"), why: e.to_string() };
        Ok(serde_json::to_vec(self).map_err(failed)?)
    }

    /// Restores the sums from a checkpoint.
    ///
    /// # Errors
    /// If the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let failed = |e: serde_json::Error| ErrorKind::Compute { step: format!("reading {MEANS}"), why: e.to_string() };
        Ok(serde_json::from_slice(bytes).map_err(failed)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::test_tensors::values;

    /// Pixels 1 and 3 of one slice, 5 and 7 of another.
    #[test]
    fn the_best_constant_has_the_variance_of_the_masked_pixels() {
        let device = Device::flex();
        let slices = [(vec![1.0f32, 3.0, 100.0], vec![1.0f32, 1.0, 0.0]), (vec![100.0, 5.0, 7.0], vec![0.0, 1.0, 1.0])];
        let moments = moments_of_masked(slices.iter().map(|(pixels, mask)| (&**pixels, mask.clone())), &device);
        let mut summary =
            EpochSummary { parts: Some([("pred", 4.95)].into_iter().collect()), ..EpochSummary::default() };
        moments.into_iter().for_each(|(name, value)| summary.diagnostics.set(name, values(value)[0].into()));
        assert_eq!(summary.diagnostics.get("masked_mean"), Some(4.0));
        warn_of_constant_output(Position { epoch: 5, epochs: 10, step: 0 }, "pred", &mut summary);
        let ratio = summary.diagnostics.get(crate::pretrain::masked::LOSS_RATIO).unwrap();
        assert!((ratio - 0.99).abs() < 1e-9 && summary.warnings.len() == 1, "{ratio} {:?}", summary.warnings);
        assert_eq!(summary.diagnostics.iter().count(), 1);
    }

    #[test]
    fn means_skip_undefined_values_and_round_trip_through_a_checkpoint() {
        let mut means = Means::default();
        means.add("recall", 0.5, 1.0);
        means.add("recall", f64::NAN, 5.0);
        means.add("recall", 0.2, 2.0);
        means.add("air", f64::NAN, 1.0);
        let mut read = Means::from_bytes(&means.to_bytes().unwrap()).unwrap();
        assert!(read == means && Means::from_bytes(b"[]").is_err());
        let taken = read.take();
        assert!((taken.get("recall").unwrap() - 0.3).abs() < 1e-12 && taken.get("air").is_none());
        assert_eq!(read, Means::default());
    }
}
