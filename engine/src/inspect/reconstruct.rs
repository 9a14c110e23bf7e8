//! Reconstruction of a masked slice by a pre-trained network.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use super::{InspectedSlice, Masking};
use crate::config::{Config, MaskFill};
use crate::device::Compute;
use crate::event::Stage;
use crate::loss::{NormalisedPatches, Variance, patch_errors};
use crate::model::read_finite;
use crate::pretrain::MaskedNet;
use crate::pretrain::amlp::Appearance;
use crate::pretrain::amlp::arl::relative_losses;
use crate::run::RunFolder;
use crate::run::checkpoint::{self, Slot};
use crate::seed::stream;
use crate::trainer::WEIGHTS;
use crate::{Error, Result};

/// The network of a pre-training run, loaded for reconstruction.
pub struct Reconstructor {
    network: MaskedNet,
    device: Device,
    config: Config,
    epoch: usize,
    warnings: Vec<String>,
}

/// A masked slice and its reconstruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// Input of the network, `[C][S][S]`. Masked patches are 0, or the mask token or noise if the run uses them.
    pub input: Vec<f32>,
    /// Output of the network, `[C][S][S]`.
    pub output: Vec<f32>,
    /// `L_i` of the masked patches, `[N]`: mean squared error over their pixels and channels. If the run normalises patches, it is
    /// divided by the patch's variance, and flat patches have none.
    pub losses: Vec<Option<f32>>,
    /// Relative losses of the masked patches (Eq. 6), `[N]`; their mean is 1.
    pub relative: Vec<Option<f32>>,
}

impl Reconstructor {
    /// Loads the last network of a pre-training run, also while it is training.
    ///
    /// # Errors
    /// If `run` is not a pre-training run or has no intact checkpoint.
    pub fn load(run: &Path, compute: &Compute) -> Result<Self> {
        let run = RunFolder::open(run)?;
        let config = Config::from_toml(&run.config_text()?, &run.config_path())?;
        if config.stage != Stage::Pretrain {
            let why = "is a fine-tuned run, whose network does not reconstruct. Choose a pre-training run";
            return Err(Error::config("reconstruction", run.root().display(), why));
        }
        let weights = checkpoint::load_part(&run, &[Slot::Last, Slot::Previous], WEIGHTS)?;
        let epoch = checkpoint::manifest(&run, weights.slot)?.epoch;
        let network = MaskedNet::load(&config, &weights.content, &compute.device)?;
        Ok(Self { network, device: compute.device.clone(), config, epoch, warnings: weights.warnings })
    }

    /// The run's configuration. Scans must be prepared with it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of training epochs.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// Reasons why an older checkpoint was loaded instead of the last one, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Masks the slice and runs the network on it.
    ///
    /// # Errors
    /// If the number of channels differs from the network's, the side of the slice is not a multiple of 2^depth, `masking`
    /// has a different number of patches, or the output is not finite.
    pub fn reconstruct(&self, slice: &InspectedSlice, masking: &Masking) -> Result<Reconstruction> {
        self.require(slice, masking)?;
        let (channels, size, grid) = (slice.channels, slice.grid.size(), slice.grid.grid());
        let images = |values: Vec<f32>, channels: usize| {
            Tensor::<4>::from_data(TensorData::new(values, [1, channels, size, size]), &self.device)
        };
        let image = images(slice.pixels.clone(), channels);
        let hidden: Vec<f32> = masking.masked.iter().map(|masked| f32::from(u8::from(*masked))).collect();
        let noise = (self.config.method.fill == MaskFill::Noise).then(|| {
            let mut draw = stream(self.config.seed, "inspect-noise", &[slice.prepared_slice as u64]);
            images(slice.pixels.iter().map(|_| StandardNormal.sample(&mut draw)).collect(), channels)
        });
        let mask = images(slice.grid.spread(&hidden), 1);
        let appearance = Appearance::plain(&self.config.method, &slice.grid, &slice.pixels, &self.device);
        let [input, output] = self.network.reconstruct(image.clone(), mask, noise);
        let output = appearance.undo(output);
        let read = |tensor| read_finite::<4>(tensor, "reconstruction");
        let errors = read_finite(appearance.errors(patch_errors(output.clone(), image, grid)), "reconstruction")?;
        let flat = if self.config.method.loss.normalised {
            NormalisedPatches::of(&slice.grid, &slice.pixels, channels, Variance::Unbiased).flat
        } else {
            vec![false; errors.len()]
        };
        let masked = || (0..errors.len()).filter(|at| masking.masked[*at] && !flat[*at]);
        let chosen: Vec<f64> = masked().map(|at| f64::from(errors[at])).collect();
        let (mut losses, mut relative) = (vec![None; errors.len()], vec![None; errors.len()]);
        for (at, rel) in masked().zip(relative_losses(&chosen)) {
            (losses[at], relative[at]) = (Some(errors[at]), Some(rel as f32));
        }
        Ok(Reconstruction { input: read(input)?, output: read(output)?, losses, relative })
    }

    fn require(&self, slice: &InspectedSlice, masking: &Masking) -> Result<()> {
        let (modalities, size) = (&self.config.data.modality, slice.grid.size());
        if slice.channels != modalities.len() {
            let why = format!("the network needs {} ({})", modalities.len(), modalities.join(", "));
            return Err(Error::config("modality", format!("{} channels", slice.channels), why));
        }
        let multiple = self.config.network.multiple();
        if !size.is_multiple_of(multiple) {
            return Err(Error::config("size", size, format!("must be a multiple of {multiple} for this network")));
        }
        let (patches, n) = (masking.masked.len(), slice.grid.count());
        if patches != n {
            return Err(Error::config("masking", format!("{patches} patches"), format!("the slice has {n} patches")));
        }
        Ok(())
    }
}
