//! The 2-D U-Net of section 4.4: the same encoder and decoder serve both stages.

mod init;
pub mod record;
mod unet;

pub use unet::{Norm, UNet, UNetConfig};
