//! Shared code of the methods with a teacher: copies on a device, slices that the teacher masks, and epoch means over the slices
//! that have a value.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::warn_of_loss;
use crate::event::{EpochSummary, Losses};
use crate::masking::indicator;
use crate::masking::select::recall;
use crate::model::Ema;
use crate::patch::PatchGrid;
use crate::pretrain::task::Sample;
use crate::pretrain::tensors::images;
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

/// A slice on the host, whose masked patches the teacher chooses on the device.
pub(super) struct HostSlice<D> {
    /// `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// Patches without tissue.
    pub air: Vec<bool>,
    /// Lesion patches, if the mask is read.
    pub lesion: Option<Vec<bool>>,
    /// What is drawn at random on the host.
    pub drawn: D,
}

impl<D> HostSlice<D> {
    pub fn new(sample: Sample, grid: &PatchGrid, drawn: D) -> Self {
        Self {
            air: grid.air_of_tissue(&sample.data.tissue),
            lesion: sample.data.target.as_ref().map(|target| grid.lesion_patches(target)),
            pixels: sample.data.pixels,
            drawn,
        }
    }

    /// Slices as `[b, C, S, S]`.
    pub fn images(slices: &[Self], grid: &PatchGrid, device: &Device) -> Tensor<4> {
        let channels = slices.first().map_or(0, |slice| slice.pixels.len() / (grid.size() * grid.size()));
        images(slices.iter().map(|slice| &slice.pixels), channels, grid.size(), device)
    }

    /// Fraction of air among the patches that the teacher chose, and their lesion recall; NaN if undefined.
    pub fn hits(&self, chosen: &[usize]) -> Vec<f32> {
        if chosen.is_empty() {
            return vec![f32::NAN; 2];
        }
        let air = chosen.iter().filter(|patch| self.air[**patch]).count() as f32 / chosen.len() as f32;
        let recall = self.lesion.as_ref().and_then(|lesion| recall(lesion, indicator(lesion.len(), chosen)));
        vec![air, recall.map_or(f32::NAN, |recall| recall as f32)]
    }
}

/// The `count` patches with the highest scores; the first ones in a tie.
pub(super) fn highest(scores: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.truncate(count);
    order
}

/// Pixel masks `[b, 1, S, S]` of masks of patches, `[b][N]`.
pub(super) fn pixel_masks(masks: &[Vec<f32>], grid: &PatchGrid, device: &Device) -> Tensor<4> {
    let pixels: Vec<Vec<f32>> = masks.iter().map(|mask| grid.spread(mask)).collect();
    images(pixels.iter(), 1, grid.size(), device)
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
    fn hits_are_shares_of_the_chosen_patches() {
        let slice = HostSlice {
            pixels: Vec::new(),
            air: vec![true, false, false, true],
            lesion: Some(vec![false, true, true, false]),
            drawn: (),
        };
        assert_eq!(slice.hits(&[0, 1]), [0.5, 0.5]);
        assert!(slice.hits(&[]).iter().all(|hit| hit.is_nan()));
        let hit = HostSlice { lesion: None, ..slice }.hits(&[0, 3]);
        assert!((hit[0] - 1.0).abs() < 1e-6 && hit[1].is_nan());
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
