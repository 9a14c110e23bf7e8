//! Synthetic slices and what a step on them costs: the time of a step does not depend on what the slices show.

use rand::RngExt;

use super::SimMim;
use super::amlp::Trial;
use crate::Result;
use crate::cluster::ClusterConfig;
use crate::config::{Config, Pretext};
use crate::device::Compute;
use crate::event::Control;
use crate::preprocess::SliceData;
use crate::seed::stream;
use crate::trainer::measure_step;

/// Seconds of a step on a batch of `slices` synthetic slices. Slices are clustered before a training starts, so a step takes as
/// long whatever the clustering.
///
/// # Errors
/// Settings that cannot be used; those of the device; cancellation.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
    let mut config = config.clone();
    config.method.cluster = ClusterConfig::default();
    match config.method.pretext {
        Pretext::Amlp => {
            let trial = Trial::new(&config, slices)?;
            let batch = trial.masked(config.method.ratio.sigma(1, config.training.epochs), 1);
            measure_step(&trial, &batch, slices, &config, compute, control)
        }
        Pretext::SimMim => {
            let batch = SimMim::synthetic_batch(&config, slices)?;
            measure_step(&super::simmim::PixelLoss(&config), &batch, slices, &config, compute, control)
        }
    }
}

/// An ellipse of tissue with a brighter disc in it, and in each channel texture of its own.
pub(super) fn synthetic_slice(config: &Config, at: u64) -> SliceData {
    let (channels, size) = (config.data.modality.len(), config.preprocess.size);
    let area = size * size;
    let mut draw = stream(config.seed, "trial-slice", &[at]);
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
