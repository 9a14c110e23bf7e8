//! The reconstruction loss of the validation patients. The masks are the same in every epoch, so that losses can be compared
//! between epochs.

use std::path::Path;

use burn::tensor::Device;

use super::batch::Masker;
use super::loss::evaluate;
use super::mps::PatchState;
use crate::Result;
use crate::cohort::Case;
use crate::config::Config;
use crate::event::Control;
use crate::model::MaskedUNet;
use crate::patch::PatchGrid;
use crate::pretrain::Slices;

/// The validation patients' slices, clustered.
pub struct Validation {
    slices: Slices,
    patches: Vec<PatchState>,
}

impl Validation {
    /// Preprocesses and clusters the scans of `cases` without reading their masks. `control` may pause or cancel.
    ///
    /// # Errors
    /// Errors of [`Slices::load`] and [`PatchState::cluster_all`].
    pub fn load(
        config: &Config,
        cases: &[Case],
        spill_folder: &Path,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let mut without_masks = config.clone();
        without_masks.method.report_recall = false;
        let slices = Slices::load(&without_masks, cases, spill_folder, control, progress)?;
        let patches = PatchState::cluster_all(&without_masks, &slices, control)?;
        Ok(Self { slices, patches })
    }

    /// Mean `L_pred` of the slices at the masking ratio of the last epoch of `epochs`, in batches of `at_once` slices.
    ///
    /// # Errors
    /// Device errors; a slice that cannot be read.
    pub(super) fn loss(
        &self,
        net: &MaskedUNet,
        config: &Config,
        device: &Device,
        epochs: usize,
        at_once: usize,
    ) -> Result<f64> {
        let grid = PatchGrid::new(config.preprocess.size, config.method.grid)?;
        let masker = Masker::new(config, &grid, self.slices.channels(), config.method.ratio.sigma(epochs, epochs));
        let all: Vec<usize> = (0..self.slices.len()).collect();
        let mut sum = 0.0;
        for members in all.chunks(at_once.max(1)) {
            let mask = |&i: &usize| {
                let window = self.slices.window(i)?;
                Ok(masker.slice(&self.patches[i], window.pixels, &window.tissue, [0, i as u64]))
            };
            let batch = masker.batch(members, members.iter().map(mask).collect::<Result<_>>()?);
            let output = evaluate(net, &batch, config, device)?;
            sum += output.part("pred") * members.len() as f64;
        }
        Ok(sum / all.len().max(1) as f64)
    }
}
