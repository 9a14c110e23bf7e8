//! Losses on tensors, shared by several methods. The losses of AMLP are in [`crate::pretrain::amlp`].
//!
//! Shapes: `B` slices per batch, `C` channels, `S` pixels per side, `N` patches per slice. Values per patch are `[B, N]`.

mod codebook;
mod contrastive;
mod frequency;
mod normed;
mod reconstruction;
mod segmentation;

pub use codebook::{Codebook, QuantisedVectors, perplexity, quantise};
pub use contrastive::{Contrast, info_nce, normalised, nt_xent, sinkhorn, swapped_prediction, unit_distance};
pub use frequency::{Band, Spectrum, weights as spectrum_weights};
pub(crate) use normed::Moments;
pub use normed::{NormalisedPatches, Variance, denormalise, weighted_mean};
pub use reconstruction::{masked_l1, patch_errors, reconstruction};
pub(crate) use reconstruction::{patch_features, patch_means};
pub use segmentation::{Overlap, cross_entropy, dice, dice_loss, overlap};
