//! Self-supervised pre-training. Each method is a [`crate::trainer::Method`]; the loop is [`crate::trainer::train`].
//!
//! | file | idea |
//! |---|---|
//! | `slices.rs` | the slices of the training patients |
//! | `amlp/` | the paper's method and its ablations, `base` (MAE) among them |
//! | `simmim.rs` | SimMIM |
//! | `spread.rs` | how far embeddings are apart |
//! | `synthetic.rs` | synthetic slices, and what a step on them costs |
//! | `tensors.rs` | numbers on the host as tensors |

pub mod amlp;
mod simmim;
mod slices;
mod spread;
mod synthetic;
mod tensors;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::config::{Config, Pretext};
use crate::event::{Control, EpochSummary, EventSink, Stage};
use crate::model::record::{Transfer, from_bytes};
use crate::model::{MaskedUNet, PixelHeadNet, Precision, UNetConfig};
use crate::trainer::{Head, Method, Objective, Session, Trained, train};

use amlp::Amlp;
use amlp::mps::PatchState;
pub use amlp::validation::Validation;
pub use simmim::SimMim;
pub use slices::Slices;
pub use spread::Spread;
use synthetic::synthetic_slice;
pub(crate) use synthetic::synthetic_step;

/// The report of a finished pre-training.
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
    /// Numbers of the last epoch.
    pub last: EpochSummary,
    /// Seconds that this process spent in the loop.
    pub seconds: f64,
}

/// Pre-trains on `slices` by the method of the settings. `patches` are the clustered patches of every slice for AMLP, empty for
/// other methods. The loss on `validation` is logged. A dry run stops after the estimate and gives `None`.
///
/// # Errors
/// Those of [`train`].
pub fn pretrain(
    config: &Config,
    slices: &Slices,
    patches: &mut [PatchState],
    validation: Option<&Validation>,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<Option<PretrainReport>> {
    let trained = match config.method.pretext {
        Pretext::Amlp => train(&mut Amlp::new(config, session, slices, patches, validation)?, config, session, sink),
        Pretext::SimMim => train(&mut SimMim::new(config, session, slices)?, config, session, sink),
    }?;
    Ok(trained.map(|Trained { parameters, length, last, seconds, .. }| PretrainReport {
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

/// Shape of the U-Net of pre-training: as many outputs as modalities, and as many inputs, with the mask channel if there is one.
pub fn network_config(config: &Config) -> UNetConfig {
    let channels = config.data.modality.len();
    let in_channels = channels + usize::from(config.method.mask.channel);
    UNetConfig { in_channels, out_channels: channels, ..config.network.clone() }
}

/// What pre-training adds to that U-Net.
pub(crate) fn head(config: &Config) -> Head {
    match config.method.pretext {
        Pretext::Amlp => Head { weights: usize::from(config.method.mask_input().token), activations: 0 },
        Pretext::SimMim => simmim::PixelLoss(config).head(),
    }
}

/// What fine-tuning takes over from a network pre-trained with these settings.
pub fn transfer(config: &Config) -> Transfer {
    match config.method.pretext {
        Pretext::Amlp => Amlp::TRANSFER,
        Pretext::SimMim => SimMim::TRANSFER,
    }
}

/// A pre-trained network that reconstructs masked slices.
#[derive(Debug)]
pub enum MaskedNet {
    /// Of AMLP and its ablations.
    UNet(MaskedUNet),
    /// Of SimMIM.
    PixelHead(PixelHeadNet),
}

impl MaskedNet {
    /// Loads the network that a pre-training with these settings has stored, for inference.
    ///
    /// # Errors
    /// Weights of another network.
    pub fn load(config: &Config, weights: &[u8], device: &Device) -> Result<Self> {
        let shape = network_config(config);
        Ok(match config.method.pretext {
            Pretext::Amlp => {
                let net = MaskedUNet::init(&shape, config.method.mask_input(), 0, device);
                Self::UNet(from_bytes(net, weights)?.valid())
            }
            Pretext::SimMim => Self::PixelHead(from_bytes(PixelHeadNet::init(&shape, 0, device), weights)?.valid()),
        })
    }

    /// The masked image that the network sees and its reconstruction, `[B, C, H, W]` both; `pixel_mask` `[B, 1, H, W]` is 1 on
    /// masked pixels, which are replaced by `noise` if it is given.
    pub fn reconstruct(&self, image: Tensor<4>, pixel_mask: Tensor<4>, noise: Option<Tensor<4>>) -> [Tensor<4>; 2] {
        let precision = Precision::F32;
        let (input, output) = match self {
            Self::UNet(net) => {
                let input = net.mask(image, pixel_mask.clone(), noise);
                (input.clone(), net.forward(input, pixel_mask, precision))
            }
            Self::PixelHead(net) => {
                let input = net.mask(image, pixel_mask);
                (input.clone(), net.forward(input, precision))
            }
        };
        [input, output]
    }
}

/// Clusters the patches of every slice, if the method has any.
///
/// # Errors
/// Those of [`PatchState::cluster_all`].
pub(crate) fn patches(config: &Config, slices: &Slices, control: &Control) -> Result<Vec<PatchState>> {
    match config.method.pretext {
        Pretext::Amlp => PatchState::cluster_all(config, slices, control),
        Pretext::SimMim => Ok(Vec::new()),
    }
}
