//! Synthetic slices, for benchmarks, estimates and tests.

use rand::RngExt;
use rayon::prelude::*;

use super::task::{PretextTask, Sample};
use crate::Result;
use crate::config::Config;
use crate::preprocess::SliceData;
use crate::seed::stream;
use crate::trainer::Position;

/// `slices` synthetic slices of different patients.
pub(super) fn synthetic_samples(config: &Config, slices: usize) -> Vec<Sample> {
    let sample = |slice: u64| Sample { slice, patient: slice, k: 0, data: synthetic_slice(config, slice) };
    (0..slices as u64).into_par_iter().map(sample).collect()
}

/// A batch of `slices` synthetic slices, for a step of the first epoch.
///
/// # Errors
/// Errors of [`PretextTask::collate`].
pub(super) fn synthetic_batch<T: PretextTask>(
    task: &T,
    config: &Config,
    slices: usize,
    step: usize,
) -> Result<T::Batch> {
    task.collate(synthetic_samples(config, slices), Position { epoch: 1, epochs: config.training.epochs, step })
}

/// An ellipse of tissue with a brighter disc, and independent texture per channel.
pub(crate) fn synthetic_slice(config: &Config, slice: u64) -> SliceData {
    let (channels, size) = (config.data.modality.len(), config.preprocess.size);
    let area = size * size;
    let mut draw = stream(config.seed, "trial-slice", &[slice]);
    let [y, x] = [0, 1].map(|_| draw.random_range(-0.4..0.4));
    let (mut pixels, mut tissue) = (Vec::with_capacity(channels * area), Vec::with_capacity(area));
    for index in 0..channels * area {
        let pixel = index % area;
        let [i, j] = [pixel / size, pixel % size].map(|k| 2.0 * (k as f32 + 0.5) / size as f32 - 1.0);
        let body = (i / 0.9).hypot(j / 0.75) < 1.0;
        let lesion = body && (i - y).hypot(j - x) < 0.2;
        let texture = draw.random_range(-0.3..0.3f32);
        pixels.push(if body { texture + if lesion { 2.0 } else { 0.2 } } else { 0.0 });
        if index < area {
            tissue.push(body);
        }
    }
    SliceData { pixels, target: None, tissue }
}
