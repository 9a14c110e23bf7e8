//! The 2-D U-Net of section 4.4: the same encoder and decoder serve both stages.

mod init;
mod precision;
pub mod record;
mod unet;

pub use precision::Precision;
pub use unet::{Norm, UNet, UNetConfig};
