//! What a pre-trained network makes of a masked slice.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use super::{InspectedSlice, Masking};
use crate::config::{Config, MaskFill};
use crate::device::Compute;
use crate::event::Stage;
use crate::loss::patch_errors;
use crate::pretrain::MaskedNet;
use crate::pretrain::amlp::arl::relative_losses;
use crate::run::RunFolder;
use crate::run::checkpoint::{self, Slot};
use crate::seed::stream;
use crate::trainer::WEIGHTS;
use crate::{Error, ErrorKind, Result};

/// The network of a pre-training run, ready to reconstruct.
pub struct Reconstructor {
    network: MaskedNet,
    device: Device,
    config: Config,
    epoch: usize,
    warnings: Vec<String>,
}

/// A masked slice and what a network made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// What the network got, `[C][S][S]`: masked patches are 0, or what the run puts in their place.
    pub input: Vec<f32>,
    /// What it gave, `[C][S][S]`.
    pub output: Vec<f32>,
    /// `L_i` of the masked patches: mean squared error over their pixels and channels, `[N]`.
    pub losses: Vec<Option<f32>>,
    /// Their relative losses (Eq. 6): 1 on average, `[N]`.
    pub relative: Vec<Option<f32>>,
}

impl Reconstructor {
    /// Loads the last network of a pre-training run, also while it is training.
    ///
    /// # Errors
    /// A fine-tuned run, whose network segments; a run without a checkpoint, or with damaged ones.
    pub fn load(run: &Path, compute: &Compute) -> Result<Self> {
        let run = RunFolder::open(run)?;
        let config = Config::from_toml(&run.config_text()?, &run.config_path())?;
        if config.stage != Stage::Pretrain {
            let why = "a fine-tuned run: its network segments and does not reconstruct; choose a pre-training run";
            return Err(Error::config("reconstruction", run.root().display(), why));
        }
        let weights = checkpoint::load_part(&run, &[Slot::Last, Slot::Previous], WEIGHTS)?;
        let epoch = checkpoint::manifest(&run, weights.slot)?.epoch;
        let network = MaskedNet::load(&config, &weights.content, &compute.device)?;
        Ok(Self { network, device: compute.device.clone(), config, epoch, warnings: weights.warnings })
    }

    /// The run's configuration: what a scan should be prepared by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Epochs that the network was trained for.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// Why the run's last checkpoint was passed over for an older one, one line each; nothing if it was not.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Masks the slice as `masking` says and runs the network on it.
    ///
    /// # Errors
    /// A slice of another number of channels than the network was trained on, of a side that it cannot halve often enough,
    /// a masking of another number of patches, an output that is not finite.
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
        let [input, output] = self.network.reconstruct(image.clone(), mask, noise);
        let errors = values(patch_errors(output.clone(), image, grid))?;
        let masked = || (0..errors.len()).filter(|at| masking.masked[*at]);
        let chosen: Vec<f64> = masked().map(|at| f64::from(errors[at])).collect();
        let (mut losses, mut relative) = (vec![None; errors.len()], vec![None; errors.len()]);
        for (at, rel) in masked().zip(relative_losses(&chosen)) {
            (losses[at], relative[at]) = (Some(errors[at]), Some(rel as f32));
        }
        Ok(Reconstruction { input: values(input)?, output: values(output)?, losses, relative })
    }

    fn require(&self, slice: &InspectedSlice, masking: &Masking) -> Result<()> {
        let (modalities, size) = (&self.config.data.modality, slice.grid.size());
        if slice.channels != modalities.len() {
            let why = format!("the network needs {}: {}", modalities.len(), modalities.join(", "));
            return Err(Error::config("modality", format!("{} channels", slice.channels), why));
        }
        let multiple = self.config.network.multiple();
        if !size.is_multiple_of(multiple) {
            return Err(Error::config("size", size, format!("the network needs a multiple of {multiple}")));
        }
        let (patches, n) = (masking.masked.len(), slice.grid.count());
        if patches != n {
            return Err(Error::config("masking", format!("{patches} patches"), format!("the slice has {n}")));
        }
        Ok(())
    }
}

/// A tensor's values, if all of them are finite.
fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |why: String| Error::from(ErrorKind::Compute { step: "reconstruction".into(), why });
    let data = tensor.try_into_data().map_err(|e| failed(e.to_string()))?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(failed("the network's output is not finite: its weights are damaged".into()))
}
