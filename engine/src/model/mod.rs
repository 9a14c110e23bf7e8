//! The 2-D U-Net of section 4.5: the same encoder and decoder serve both stages.
//!
//! | file | contents |
//! |---|---|
//! | `unet.rs` | shape, encoder, decoder, head |
//! | `layers.rs` | its layers, with our kernels on the CPU and burn elsewhere |
//! | `inference.rs` | the network for inference, whose weights are packed once |
//! | `masked.rs` | networks of masked pre-training: a U-Net with a mask token or a pixel head |
//! | `heads.rs` | heads on pooled features, and the network of the methods that compare views |
//! | `cell_head.rs` | a linear head on cells of the last block |
//! | `fusion.rs` | two paths that join the encoder's levels |
//! | `visible.rs` | a U-Net whose encoder computes on visible positions only |
//! | `mix.rs` | interpolation of two networks: moving averages, layer-wise rates |
//! | `ema.rs` | a teacher: the moving average of a network |
//! | `init.rs` | random weights by seed |
//! | `precision.rs` | f32, bf16, f16 |
//! | `predictor.rs` | networks of masked pre-training that predict features |
//! | `read.rs` | values of a tensor |
//! | `record.rs` | weights as safetensors, and their transfer |

mod cell_head;
mod ema;
mod fusion;
mod heads;
mod inference;
mod init;
mod layers;
mod masked;
mod mix;
mod precision;
mod predictor;
mod read;
pub mod record;
mod unet;
mod visible;

pub use cell_head::{CellHeadNet, space_to_depth};
pub use ema::{Ema, capped_decay, cosine_decay};
pub use fusion::{FusionNet, LEVELS as FUSION_LEVELS};
pub use heads::{Mlp, MlpShape, ViewHeads, ViewNet};
pub use inference::PackedUNet;
pub use masked::{MaskInput, MaskedUNet, PixelHeadNet, TopSkip, apply_mask};
pub use mix::mix;
pub use precision::Precision;
pub use predictor::{PredictorNet, TokenHeads, TokenNet, cell_rows};
pub(crate) use read::{read_finite, read_values};
pub use unet::{Features, Norm, Trace, UNet, UNetConfig};
pub use visible::VisibleUNet;
