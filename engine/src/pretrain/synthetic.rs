//! A training step on made-up slices: what it takes does not depend on what they show.

use burn::tensor::Device;
use rand_distr::{Distribution, StandardNormal};

use super::host::{Host, HostSlice};
use super::network_config;
use super::objective::{Batch, losses};
use super::slices::PatchState;
use crate::Result;
use crate::cluster::ClusterConfig;
use crate::config::Config;
use crate::device::Compute;
use crate::event::Control;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::seed::stream;
use crate::trainer::measure_step;

/// Seconds of a step on a batch of `slices` made-up slices, on a network of its own.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
    let device = compute.training();
    let batch = batch(config, slices, &device)?;
    measure_step(&network_config(config), &config.training, &device, |network| {
        control.pass()?;
        Ok(losses(network, &batch, &config.method)?.total)
    })
}

fn batch(config: &Config, slices: usize, device: &Device) -> Result<Batch> {
    // Slices are clustered before the training, so the step is the same whatever the clustering.
    let mut config = config.clone();
    config.method.cluster = ClusterConfig::default();
    let (channels, size) = (config.data.modality.len(), config.preprocess.size);
    let grid = PatchGrid::new(size, config.method.grid)?;
    let host = Host { config: &config, grid: &grid, channels };
    let count = host.count(config.method.ratio.sigma(1, config.training.epochs));
    let made: Vec<HostSlice> = (0..slices as u64)
        .map(|slice| {
            let mut draw = stream(config.seed, "made-up slices", &[slice]);
            let pixels = (0..channels * size * size).map(|_| StandardNormal.sample(&mut draw)).collect();
            let window = SliceData { pixels, target: None, tissue: vec![true; size * size] };
            let state = PatchState::new(&config, &grid, &window, &[slice]);
            host.slice(&state, window.pixels, count, [1, slice])
        })
        .collect();
    let members: Vec<usize> = (0..slices).collect();
    Ok(host.batch(&members, made, device))
}
