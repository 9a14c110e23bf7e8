//! Batches of synthetic slices, for benchmarks, device comparisons and time estimates.

use rayon::prelude::*;

use super::batch::{MaskedBatch, Masker};
use super::loss::AmlpObjective;
use super::mps::PatchState;
use crate::Result;
use crate::config::Config;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::{network_config, synthetic_slice};

/// Clustered synthetic slices of a body with a brighter lesion. Every fifth label is flipped, so that no loss is zero.
pub struct SyntheticSlices {
    config: Config,
    grid: PatchGrid,
    slices: Vec<(PatchState, SliceData)>,
}

impl SyntheticSlices {
    /// Makes `slices` slices with one channel per modality.
    ///
    /// # Errors
    /// A patch grid that does not divide the crop.
    pub fn new(config: &Config, slices: usize) -> Result<Self> {
        let grid = PatchGrid::new(config.preprocess.size, config.method.grid)?;
        let slice = |index: usize| {
            let window = synthetic_slice(config, index as u64);
            let mut state = PatchState::new(config, &grid, &window, index as u64);
            state.label.iter_mut().step_by(5).for_each(|label| *label = 1 - *label);
            (state, window)
        };
        Ok(Self { config: config.clone(), grid, slices: (0..slices).into_par_iter().map(slice).collect() })
    }

    /// The network and its loss.
    pub fn objective(&self) -> AmlpObjective<'_> {
        AmlpObjective(&self.config)
    }

    /// The slices, masked at ratio `sigma` as in an epoch.
    pub fn masked(&self, sigma: f64, epoch: u64) -> MaskedBatch {
        let masker = Masker::new(&self.config, &self.grid, network_config(&self.config).out_channels, sigma);
        let members: Vec<usize> = (0..self.slices.len()).collect();
        let mask = |&index: &usize| {
            let (state, window) = &self.slices[index];
            masker.slice(state, window.pixels.clone(), &window.tissue, [epoch, index as u64])
        };
        let slices = members.par_iter().map(mask).collect();
        masker.batch(&members, slices)
    }
}
