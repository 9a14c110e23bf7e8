//! CPU kernels of the U-Net with custom gradients for burn's autodiff.
//!
//! burn's CPU backend computes the weight gradient of a convolution as a convolution with an image-sized kernel, which
//! dominates a training step. Here convolutions are matrix products over `[B, H, W, C]`, see `conv`. Other devices use burn's
//! operations.
//!
//! The order of every sum depends only on shapes, so training is bit-identical for any number of threads, also after
//! resuming.

mod adamw;
mod block;
mod conv;
mod grid;
mod norm;
mod ops;
mod pack;
mod pool;
mod simd;
mod tape;
#[cfg(test)]
mod tests;
mod up;
mod winograd;

use burn::tensor::Tensor;

pub use adamw::AdamWStep;
pub use block::{BlockOutput, Unit, UnitNorm, block};
pub use ops::{convolve, max_pool, upsample};
pub use simd::instructions;

/// True for an f32 tensor on the CPU, which the kernels of this module support.
pub fn is_supported<const D: usize>(tensor: &Tensor<D>) -> bool {
    tape::Value::of(tensor).is_some()
}
