//! CPU kernels of the U-Net with custom gradients for burn's autodiff. Other devices use burn's operations.
//!
//! # Layout
//! Tensors are `[B, H, W, C]`, channels last. In a row of pixels, padded by one pixel on each side, the 3x3 windows of neighbouring
//! pixels are overlapping slices, so a convolution is a matrix product without an im2col copy. [`crate::model`] keeps this layout
//! from the first layer to the head.
//!
//! # Matrix products
//! The crate `lanes` computes one tile of a product in vector registers, with AVX-512, AVX2 or portable code. `AMLP_SIMD` selects
//! one of them (`simd.rs`). A convolution (`conv.rs`) splits its image into groups of rows that fit the L2 cache, one task each. A
//! task copies its rows and their margin to a thread-local buffer, applies the normalisation and `ReLU` of the previous layer on
//! the way, and multiplies the rows by the weights, which are packed into panels of two vectors (`pack.rs`). The bottleneck depends
//! on the shape:
//!
//! | shape | bottleneck | optimisation |
//! |---|---|---|
//! | up to one vector of output channels | one load per product | a load serves the three columns of a kernel row |
//! | gradient of a single channel | all but one number of a vector are lost | the kernel's positions are the columns of one product |
//! | 32 channels and more (AVX2: 16) | multiplications | Winograd tiles: 4 products per output instead of 9 (`winograd.rs`) |
//! | more weights than pixels | reading the weights | a task computes one panel for all pixels, whose tiles are transformed once |
//! | weight gradients | the sum over all pixels | a fixed number of partial sums, added in order; up to four panels share an input |
//!
//! # Fused blocks
//! `block.rs` is a whole U-Net block as one autodiff operation: convolution, normalisation and `ReLU`, twice. The moments of a group
//! of rows are computed while it is in the cache (`norm.rs`). The backward pass keeps only the values before each normalisation and
//! recomputes the normalised ones. `up.rs` is the transposed convolution and `pool.rs` the pooling. `ops.rs` and `tape.rs` turn them
//! into autodiff operations. `weights.rs` has passes over all weights: AdamW, moving averages. Element-wise passes
//! (`channels.rs`) keep the constants and sums of up to 16 channels in registers.
//!
//! # Inference
//! `inference.rs` has the layers of a network with fixed weights, [`crate::model::PackedUNet`]. Weights are packed once and buffers
//! are reused, which saves a fifth of the forward pass of a single slice. Results are identical bit for bit.
//!
//! # Memory
//! The allocator keeps freed memory for the next layer (`lanes::keep_freed_memory`). Each thread has its own heap, whose free memory
//! other threads cannot use, so the calling thread makes all large allocations, including the partial sums of its tasks.
//!
//! # Adding a layer
//! 1. Write the forward and the backward pass on slices of floats. The order of their partial sums must depend on shapes only.
//! 2. Test both against naive sums (`tests.rs`), with every instruction set.
//! 3. Make it an operation as in `ops.rs`.
//! 4. Call it from `model/layers.rs`, next to burn's operation, which other devices use.
//!
//! # Invariants
//! The order of every sum depends only on shapes and the instruction set, so training is bit-identical for any number of threads,
//! even after resuming.

mod block;
mod channels;
mod conv;
mod grid;
mod inference;
mod norm;
mod ops;
mod pack;
mod pool;
mod simd;
mod tape;
#[cfg(test)]
mod tests;
mod up;
mod weights;
mod winograd;

use burn::tensor::Tensor;
use rayon::prelude::*;

pub use block::{BlockOutput, Unit, UnitNorm, block};
pub use inference::{Map, PackedUnit, PackedUpsampling};
pub use ops::{convolve, max_pool, upsample};
pub(crate) use simd::cpu;
pub use simd::instructions;
pub use weights::{AdamWStep, interpolate};

/// True for an f32 tensor on the CPU, which the kernels of this module support.
pub fn is_supported<const D: usize>(tensor: &Tensor<D>) -> bool {
    tape::Value::of(tensor).is_some()
}

/// `length` zeros, written by all threads. One thread that cleared the output of every layer took 5 % of a step's time.
fn zeros(length: usize) -> Vec<f32> {
    const LINE: usize = 16;
    if length < 1 << 16 {
        return vec![0.0; length];
    }
    let lines = (0..length.div_ceil(LINE)).into_par_iter().with_min_len(1 << 12).map(|_| [0.0; LINE]);
    let mut values = lines.collect::<Vec<_>>().into_flattened();
    values.truncate(length);
    values
}
