//! A pre-training batch of made-up slices: what a benchmark times, what is compared between devices, and what tells before a
//! training how long a step takes.

use rand::RngExt;
use rayon::prelude::*;

use super::host::{Host, Masked};
use super::network_config;
use super::objective::Reconstruction;
use super::slices::PatchState;
use crate::Result;
use crate::cluster::ClusterConfig;
use crate::config::Config;
use crate::device::Compute;
use crate::event::Control;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::seed::stream;
use crate::trainer::{Measured, Objective, measure_step};

/// Slices of a body with a brighter lesion, clustered; every fifth label is changed, so that every loss has something to do.
pub struct Trial {
    config: Config,
    grid: PatchGrid,
    slices: Vec<(PatchState, Vec<f32>)>,
}

impl Trial {
    /// `slices` slices for the settings, with as many channels as `config.network` takes.
    pub fn new(config: &Config, slices: usize) -> Result<Self> {
        let grid = PatchGrid::new(config.preprocess.size, config.method.grid)?;
        let make = |at: usize| {
            let window = slice(config, at as u64);
            let mut state = PatchState::new(config, &grid, &window, &[at as u64]);
            state.label.iter_mut().step_by(5).for_each(|label| *label = 1 - *label);
            (state, window.pixels)
        };
        Ok(Self { config: config.clone(), grid, slices: (0..slices).into_par_iter().map(make).collect() })
    }

    /// The slices, masked at ratio `sigma` as in an epoch.
    pub fn masked(&self, sigma: f64, epoch: u64) -> Masked {
        let host = Host { config: &self.config, grid: &self.grid, channels: self.config.network.in_channels };
        let count = host.count(sigma);
        let members: Vec<usize> = (0..self.slices.len()).collect();
        let make = |&at: &usize| {
            let (state, pixels) = &self.slices[at];
            host.slice(state, pixels.clone(), count, [epoch, at as u64])
        };
        let made = members.par_iter().map(make).collect();
        host.batch(&members, made)
    }

    /// What a trainer minimises of such a batch.
    pub fn objective<'a>(&'a self, masked: &'a Masked) -> impl Objective<Told = super::Told> + 'a {
        Reconstruction { config: &self.config, masked }
    }
}

/// Measures a step on a batch of `slices` made-up slices, on a network of its own: what it takes does not depend on what they
/// show. Slices are clustered before a training starts, so the step is the same whatever the clustering.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<Measured> {
    let mut config = config.clone();
    config.network = network_config(&config);
    config.method.cluster = ClusterConfig::default();
    let trial = Trial::new(&config, slices)?;
    let masked = trial.masked(config.method.ratio.sigma(1, config.training.epochs), 1);
    measure_step(&config, &config.network, compute, &trial.objective(&masked), slices, control)
}

/// An ellipse of tissue with a brighter disc in it and, in each channel, texture of its own over both.
fn slice(config: &Config, at: u64) -> SliceData {
    let (channels, size) = (config.network.in_channels, config.preprocess.size);
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
