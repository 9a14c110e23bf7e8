//! CPU kernels of the U-Net with custom gradients for burn's autodiff. Other devices use burn's operations.
//!
//! # Layout
//! Tensors are `[B, H, W, C]`: the channels of a pixel lie side by side, so a row of pixels, padded by one on each side, holds the
//! 3x3 windows of all its pixels as overlapping slices, and a convolution is a matrix product without a copy of its windows.
//! [`crate::model`] keeps this layout from the first layer to the head.
//!
//! # Products
//! The crate `lanes` computes one tile of a product in vector registers, for AVX-512, AVX2 or any processor; `AMLP_SIMD` names
//! one of them (`simd.rs`). A convolution (`conv.rs`) divides its image into pieces of rows that fit the L2 cache, one task of the
//! thread pool each. A task copies its rows with their margin into a buffer of its thread, applying the normalisation and
//! `ReLU` of the layer before on the way, and multiplies it by the weights, packed into panels of two vectors (`pack.rs`). What
//! limits a product differs with its shape:
//!
//! | shape | limit | answer |
//! |---|---|---|
//! | up to one vector of output channels | every product needs a load | windows: a load serves the three columns of a kernel's row |
//! | 32 channels and more (AVX2: 16) | multiplications | Winograd's tiles, 4 products an output instead of 9 (`winograd.rs`) |
//! | more weights than pixels | reading weights | a task takes a panel and all pixels, whose tiles are transformed once |
//! | weight gradients | the sum over all pixels | a fixed number of partial sums, added in order; up to four panels share an input |
//!
//! # One operation a block
//! `block.rs` is a whole block for autodiff: convolution, normalisation and `ReLU`, twice. Moments are taken of each piece while it
//! is in the cache (`norm.rs`), normalised values are computed again when they are read, and only the values before each
//! normalisation are kept for the backward pass. `up.rs` is the transposed convolution, `pool.rs` the pooling, `ops.rs` makes them
//! operations of autodiff by `tape.rs`, and `adamw.rs` is the optimiser's step in one pass. Passes without products
//! (`channels.rs`) hold the constants and sums of up to 16 channels in registers, and are compiled for the instructions in use.
//!
//! # Inference
//! `inference.rs` has the layers of a network whose weights do not change, [`crate::model::PackedUNet`]: the same sums, bit for
//! bit, of weights that are packed once, into buffers that are used again. For one slice at a time, packing weights and clearing
//! buffers was a fifth of the forward pass.
//!
//! # Memory
//! The allocator keeps what is freed for the next layer (`lanes::keep_freed_memory`). Each thread has a heap of its own, whose
//! free memory is of no use to other threads. The thread that calls a layer therefore allocates what is large, also the partial
//! sums of its tasks.
//!
//! # Adding a layer
//! Write it forward and backward on slices of numbers, with its partial sums in an order that depends on shapes alone; test both
//! against the sums that define them (`tests.rs`), on every instruction set; make it an operation as `ops.rs` does; and call it
//! from `model/layers.rs`, where burn's own operation stays for the other devices.
//!
//! The order of every sum depends only on shapes and the instruction set, so training is bit-identical for any number of
//! threads, also after resuming.

mod adamw;
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
mod winograd;

use burn::tensor::Tensor;

pub use adamw::AdamWStep;
pub use block::{BlockOutput, Unit, UnitNorm, block};
pub use inference::{Map, PackedUnit, PackedUpsampling};
pub use ops::{convolve, max_pool, upsample};
pub(crate) use simd::cpu;
pub use simd::instructions;

/// True for an f32 tensor on the CPU, which the kernels of this module support.
pub fn is_supported<const D: usize>(tensor: &Tensor<D>) -> bool {
    tape::Value::of(tensor).is_some()
}
