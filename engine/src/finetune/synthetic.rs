//! A training step on made-up slices: what it takes does not depend on what they show.

use rand::RngExt;

use super::{Samples, network_config};
use crate::Result;
use crate::config::Config;
use crate::device::Compute;
use crate::event::Control;
use crate::seed::stream;
use crate::trainer::{Measured, measure_step};

/// Measures a step on a batch of `slices` made-up slices, on a network of its own.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<Measured> {
    let (channels, regions, size) = (config.data.modality.len(), config.data.targets.count(), config.preprocess.size);
    let mut draw = stream(config.seed, "made-up slices", &[]);
    let made = (0..slices)
        .map(|_| {
            let pixels = (0..channels * size * size).map(|_| draw.random()).collect();
            // A bit for each region.
            let target = (0..size * size).map(|_| draw.random()).collect();
            (pixels, target)
        })
        .collect();
    let samples = Samples { made, channels, regions, size, precision: config.training.precision };
    measure_step(config, &network_config(config), compute, &samples, slices, control)
}
