//! Self-supervised pre-training. Each method is a [`crate::trainer::Method`]; the loop is [`crate::trainer::train`].
//!
//! | file | contents |
//! |---|---|
//! | `slices.rs` | the slices of the training patients |
//! | `amlp/` | the paper's method and its ablations, including `base` (MAE) |
//! | `spread.rs` | spread of the embeddings |
//! | `task.rs` | the trait of all other methods |
//! | `training.rs` | runs such a task as a training method |
//! | `masked/` | masked-image methods |
//! | `views/` | methods that compare views: SimCLR, MoCo, BYOL, SwAV |
//! | `registry.rs` | lookup of methods, and registration of user-defined ones |
//! | `synthetic.rs` | synthetic slices |
//! | `tensors.rs` | tensors from numbers on the host |

pub mod amlp;
pub mod masked;
mod registry;
mod slices;
mod spread;
mod synthetic;
pub mod task;
mod tensors;
#[cfg(test)]
pub(crate) mod testing;
mod training;
pub(crate) mod views;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Number, Pretext};
use crate::device::Compute;
use crate::event::{Control, EpochSummary, EventSink, Stage};
use crate::model::UNetConfig;
use crate::model::record::Transfer;
use crate::trainer::{Head, Session, TrainOutput};
use crate::{Error, Result};

use amlp::mps::PatchState;
pub use amlp::validation::Validation;
pub use registry::register;
use registry::{Data, of};
pub(crate) use registry::{Stepper, TIMED_SIGMA, registered};
pub use slices::Slices;
pub(crate) use synthetic::synthetic_slice;
use task::Reconstruct;

/// The report of a finished pre-training run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PretrainReport {
    /// Always `pretrain`.
    pub stage: Stage,
    /// The preset's name.
    pub preset: String,
    /// Device that computed.
    pub device: String,
    /// Training patients.
    pub patients: usize,
    /// Training slices.
    pub slices: usize,
    /// Weights of the network.
    pub parameters: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Steps trained.
    pub steps: usize,
    /// Summary of the last epoch.
    pub last: EpochSummary,
    /// Seconds that this process spent in the loop.
    pub seconds: f64,
}

/// Pre-trains on `slices` by the method of the settings. `patches` are the clustered patches of every slice for AMLP, empty for
/// other methods. The loss on `validation` is logged. A dry run stops after the estimate and gives `None`.
///
/// # Errors
/// Errors of [`crate::trainer::train`].
pub fn pretrain(
    config: &Config,
    slices: &Slices,
    patches: &mut [PatchState],
    validation: Option<&Validation>,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<Option<PretrainReport>> {
    let data = Data { slices, patches, validation };
    let trained = of(config.method.pretext).train(config, data, session, sink)?;
    Ok(trained.map(|TrainOutput { parameters, length, last, seconds, .. }| PretrainReport {
        stage: Stage::Pretrain,
        preset: config.preset.clone(),
        device: session.compute.name.clone(),
        patients: slices.patients(),
        slices: slices.len(),
        parameters,
        epochs: length.epochs,
        steps: length.steps,
        last,
        seconds,
    }))
}

/// Shape of the U-Net in pre-training: one output per modality, and one input per modality plus the mask channel, if there is
/// one.
pub fn network_config(config: &Config) -> UNetConfig {
    let channels = config.data.modality.len();
    let in_channels = channels + usize::from(config.method.mask.channel);
    UNetConfig { in_channels, out_channels: channels, ..config.network.clone() }
}

/// Parameters and activations that pre-training adds to the U-Net.
pub(crate) fn head(config: &Config) -> Head {
    of(config.method.pretext).head(config)
}

/// What fine-tuning transfers from a network pre-trained with these settings.
pub fn transfer(config: &Config) -> Transfer {
    of(config.method.pretext).transfer()
}

/// The parameters of a method in `[method.numbers]`.
pub fn numbers(pretext: Pretext) -> &'static [Number] {
    of(pretext).numbers()
}

/// An error for each setting that the method does not support.
pub(crate) fn errors(config: &Config) -> Vec<Error> {
    if config.method.pretext == Pretext::Custom && registered().is_none() {
        let why =
            format!("the method {} is not registered. The program that defines it must register it", config.preset);
        return vec![Error::config("method.pretext", "own", why)];
    }
    of(config.method.pretext).errors(config)
}

/// A pre-trained network that reconstructs masked slices.
pub struct MaskedNet(Box<dyn Reconstruct>);

impl MaskedNet {
    /// Loads the network of a pre-training run with these settings, for inference.
    ///
    /// # Errors
    /// Weights of another network; a method whose network does not reconstruct pixels.
    pub fn load(config: &Config, weights: &[u8], device: &Device) -> Result<Self> {
        of(config.method.pretext).reconstructor(config, weights, device).map(Self)
    }

    /// The masked image that the network sees and its reconstruction, `[B, C, H, W]` both; `pixel_mask` `[B, 1, H, W]` is 1 on
    /// masked pixels, which are replaced by `noise` if it is given.
    pub fn reconstruct(&self, image: Tensor<4>, pixel_mask: Tensor<4>, noise: Option<Tensor<4>>) -> [Tensor<4>; 2] {
        self.0.reconstruct(image, pixel_mask, noise)
    }
}

/// Clusters the patches of every slice, if the method has any.
///
/// # Errors
/// Errors of [`PatchState::cluster_all`].
pub(crate) fn patches(config: &Config, slices: &Slices, control: &Control) -> Result<Vec<PatchState>> {
    of(config.method.pretext).patches(config, slices, control)
}

/// Seconds of a step on `slices` synthetic slices; step time does not depend on image content.
///
/// # Errors
/// Settings that cannot be used; those of the device; cancellation.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
    of(config.method.pretext).synthetic_step(config, slices, compute, control)
}

/// Whole steps on synthetic slices, for benchmarks.
///
/// # Errors
/// Settings that cannot be used.
pub(crate) fn stepper(config: &Config, compute: &Compute) -> Result<Stepper> {
    of(config.method.pretext).stepper(config, compute)
}
