//! The U-Net's operations on the CPU, with gradients of their own on burn's tape.
//!
//! burn's CPU backend computes the gradient of a convolution's weights as a convolution with kernels as large as the image,
//! which takes most of a training step. Here convolutions are matrix products over `[B, H, W, C]`, see `conv`. Other devices
//! use burn's operations.
//!
//! Every sum has an order that depends on shapes alone, so a training gives the same bits with any number of threads, interrupted
//! or not.

mod block;
mod conv;
mod grid;
mod norm;
mod ops;
mod pack;
mod pool;
mod tape;
#[cfg(test)]
mod tests;
mod up;

use burn::tensor::Tensor;

pub use block::{BlockOutput, Unit, UnitNorm, block};
pub use ops::{convolve, max_pool, upsample};

/// True if a tensor lies on the CPU in f32, where this room computes.
pub fn is_here<const D: usize>(tensor: &Tensor<D>) -> bool {
    tape::Value::of(tensor).is_some()
}
