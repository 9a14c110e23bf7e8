//! The losses of section 4.3 of the paper's method and of fine-tuning, on tensors.
//!
//! Shapes: `B` slices a batch, `C` channels, `S` pixels a side, `N` patches a slice. Everything a patch has is `[B, N]`.

mod patches;
mod segmentation;

pub use patches::{
    Attention, Consistency, ConsistencyTargets, attention, consistency, consistency_logits, patch_errors,
    reconstruction, relative,
};
pub use segmentation::{Overlap, cross_entropy, dice, dice_cross_entropy, overlap};
