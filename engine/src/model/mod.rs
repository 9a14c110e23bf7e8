//! The 2-D U-Net of section 4.5: the same encoder and decoder serve both stages.
//!
//! | file | idea |
//! |---|---|
//! | `unet.rs` | shape, encoder, decoder, head |
//! | `layers.rs` | its layers, by our own kernels on the CPU and by burn elsewhere |
//! | `masked.rs` | networks of masked pre-training: a U-Net with a mask token or a pixel head |
//! | `mix.rs` | two networks mixed: moving averages, rates of layers |
//! | `init.rs` | random weights by seed |
//! | `precision.rs` | f32, bf16, f16 |
//! | `record.rs` | weights as safetensors, and what of them is transferred |

mod init;
mod layers;
mod masked;
mod mix;
mod precision;
pub mod record;
mod unet;

pub use masked::{MaskInput, MaskedUNet, PixelHeadNet, TopSkip, hide};
pub use mix::mix;
pub use precision::Precision;
pub use unet::{Features, Norm, Trace, UNet, UNetConfig};
